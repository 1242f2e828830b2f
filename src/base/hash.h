/* hash.h - a 64-bit checksum of bytes, against accidents and not against attackers.
 *
 * FNV-1a's idea on words of 8 bytes, little-endian, the last one filled up with zeros:
 *
 *     h = (h ^ word) * odd constant;  h ^= h >> 32        and at the end once more for the length
 *
 * Each step is a bijection of h for a given word and of the word for a given h, so whatever is
 * changed within one aligned word changes the result for certain; other damage goes unseen once in
 * 2^64.  It needs no library, no table and no instruction set, and runs at several GB/s. */
#ifndef TD_BASE_HASH_H
#define TD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Memory the caller owns. */
typedef struct td_hash {
    uint64_t h, n; /* n: bytes so far */
    uint64_t word; /* the bytes of the word that is not full yet */
} td_hash;

void td_hash_init(td_hash *hash);
/* How the bytes are cut into calls makes no difference. */
void td_hash_add(td_hash *hash, const void *data, size_t n);
void td_hash_add_u64(td_hash *hash, uint64_t x); /* its 8 bytes, little-endian */
uint64_t td_hash_result(const td_hash *hash);

#endif
