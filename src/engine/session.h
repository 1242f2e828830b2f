/* session.h - a sequence in a file.
 *
 * What goes on from a session goes on as the sequence that was saved would have: the same tokens,
 * whatever the CPU level, the threads, the batch and the context of either engine.  The file, all
 * numbers little-endian:
 *
 *     magic "TDSESS\r\n", u32 version, u32 positions per page
 *     u64 bytes of the file, u64 model (td_session_model_id)
 *     u32 mode, u32 type of keys, u32 type of values, u32 layers
 *     u32 tokens, u32 tokens evaluated, u32 tokens of the first append, u32 0
 *     u64 generator[4]
 *     u32 first page kept [layers]
 *     u32 token[tokens]
 *     per layer, first its keys, then its values: per page kept, per head, the rows of the
 *         positions evaluated
 *     u64 checksum (base/hash.h) of everything before it
 *
 * Of a layer with a window only what the next token can see is kept, and one position more, so that
 * the last token can be evaluated again.  Penalties and DRY look at the tokens, so they need no
 * state of their own. */
#ifndef TD_ENGINE_SESSION_H
#define TD_ENGINE_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { TD_SESSION_VERSION = 1 };

/* td_sequence_load from bytes in memory; `name` stands for the path in messages. */
td_status td_session_read(td_sequence *seq, const uint8_t *data, size_t n, const char *name,
                          td_err *err);

/* Tells models apart: a hash over the hyperparameters (all metadata but names and the tokenizer),
 * the number of tokens, and name, type, shape and a sample of the bytes of each tensor. */
td_status td_session_model_id(const td_engine *engine, uint64_t *out, td_err *err);

#endif
