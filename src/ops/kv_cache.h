/* kv_cache.h - what layers keep of a sequence: keys and values in pages, or a state.
 *
 * A page holds TD_KV_PAGE consecutive positions of one sequence in one layer; a layer's page table
 * maps (sequence, position / TD_KV_PAGE) to a page.  Layers with a sliding window give pages back
 * once they lie wholly before the window of every position still to come, so they need few.  Pages
 * are assigned by td_kv_cache_reserve() before a step and never inside it.
 *
 * A layer of linear attention has a state instead, floats that every token changes
 * (ops/delta_net.h): it is zeroed where position 0 is reserved, and stands for all positions up to
 * the last one reserved, so that such a sequence can only be gone on with, or begun again.
 *
 * Invariants: (1) a table entry is -1 or a page that no other entry names; (2) every page is in
 * exactly one table entry or in the layer's free list; (3) positions of a sequence below its
 * `kept_from` in a window layer are gone. */
#ifndef TD_OPS_KV_CACHE_H
#define TD_OPS_KV_CACHE_H

#include "base/arena.h"
#include "kernel/kernels.h"
#include "ops/step.h"

enum { TD_KV_PAGE = 64 };

/* What one layer keeps; given by the model. */
typedef struct td_kv_shape {
    int n_head_kv;
    int k_dim, v_dim; /* of one head */
    int window;       /* positions a query sees, itself included; 0: all */
    bool chunked;     /* none of them before the last multiple of the window */
    size_t n_state;   /* floats of a state; not 0: the layer has that and nothing of the above */
} td_kv_shape;

/* The cache of one engine. */
typedef struct td_kv_spec {
    const td_kv_shape *shapes; /* [n_layer] */
    int n_layer;
    td_kv_dtype k_dtype, v_dtype;
    int n_seq, n_ctx; /* sequences of how many positions */
    int batch_max;    /* the most positions one step adds to a sequence */
} td_kv_spec;

/* Keys or values of one layer. */
typedef struct td_kv_store {
    td_kv_dtype dtype;
    size_t row_bytes; /* of one head at one position */
    uint8_t *data;    /* owned; [n_page][n_head_kv][TD_KV_PAGE] rows */
} td_kv_store;

/* Lifetime: engine.  Written by the engine thread only, its pages by the workers during a step. */
typedef struct td_kv_layer {
    td_kv_shape shape;
    int n_page;      /* of all sequences together */
    int n_free;      /* length of free_pages */
    int *free_pages; /* owned; a stack */
    int *page_of;    /* owned; [n_seq][n_block], -1: not there (invariant 1) */
    int *kept_from;  /* owned; [n_seq] first block still there (invariant 3) */
    int n_block;     /* table entries per sequence */
    td_kv_store k, v;
    float *state; /* owned; [n_seq][n_state]; NULL: pages */
} td_kv_layer;

/* Where the row of a head stands, of position `i` of a page. */
static inline uint8_t *td_kv_row(const td_kv_store *store, const td_kv_layer *layer, int page,
                                 int head, int i) {
    const size_t row =
        ((size_t)page * (size_t)layer->shape.n_head_kv + (size_t)head) * TD_KV_PAGE + (size_t)i;
    return store->data + row * store->row_bytes;
}

struct td_kv_cache {
    int n_layer, n_seq, n_ctx;
    td_kv_layer *layers; /* owned */
    int *n_reserved;     /* owned; [n_seq] positions that the states stand for */
};

/* "f16" and so on, never NULL. */
const char *td_kv_dtype_name(td_kv_dtype dtype);

/* The blocks that its rows are made of. */
td_dtype td_kv_dtype_blocks(td_kv_dtype dtype);

/* TD_ERR_ARGUMENT if a type does not fit the width of a head: the blocks of Q8_0 and Q4_0 hold 32
 * elements. */
td_status td_kv_cache_create(td_kv_cache **out, const td_kv_spec *spec, td_err *err);
void td_kv_cache_free(td_kv_cache *kv); /* NULL is fine */

/* Bytes of keys and values that td_kv_cache_create reserves; memory is touched as pages are first
 * used. */
td_status td_kv_cache_bytes(size_t *out, const td_kv_spec *spec, td_err *err);

/* Makes room for positions [from, to) of a sequence, all before `from` being evaluated; gives back
 * what falls out of the windows.  to - from <= batch_max, to <= n_ctx: then it cannot fail.  With
 * states, `from` is 0 or where the last call ended. */
void td_kv_cache_reserve(td_kv_cache *kv, int seq, int from, int to);

/* Forgets positions >= n.  Returns how many positions from the start are still usable: n, or 0 if a
 * window layer no longer has what position n would read or a state has gone past it (then
 * everything is forgotten). */
int td_kv_cache_truncate(td_kv_cache *kv, int seq, int n);

/* ---- saving and restoring ---- */

/* kept_from[n_layer]: the first block of each layer that a sequence of n positions needs to go on,
 * or to evaluate its last position again. */
void td_kv_cache_worth_keeping(const td_kv_cache *kv, int seq, int n, int *kept_from);

/* True if a sequence of n <= n_ctx positions may have kept a layer's blocks from `block` on: it has
 * what the next position sees, and its pages are within a sequence's share. */
bool td_kv_cache_can_adopt(const td_kv_cache *kv, int i_layer, uint32_t block, int n);

/* Replaces what a sequence holds by n positions, each layer's from kept_from[layer] on, with pages
 * whose contents td_kv_cache_visit then fills. */
void td_kv_cache_adopt(td_kv_cache *kv, int seq, const int *kept_from, int n);

/* Calls fn for each run of rows of a layer's positions from block `block` up to n: keys, then
 * values; per block, per head.  Of a state, once for all of it, unless n is 0. */
typedef td_status td_kv_rows_fn(void *user, uint8_t *rows, size_t n_bytes, td_err *err);
td_status td_kv_cache_visit(td_kv_cache *kv, int seq, int i_layer, int block, int n,
                            td_kv_rows_fn *fn, void *user, td_err *err);

/* Bytes that these calls hand over. */
td_status td_kv_cache_visit_bytes(size_t *out, const td_kv_cache *kv, int i_layer, int block, int n,
                                  td_err *err);

/* ---- a step ---- */

/* The state of a sequence in a layer that has one. */
static inline float *td_kv_cache_state(const td_kv_cache *kv, int i_layer, int seq) {
    const td_kv_layer *layer = &kv->layers[i_layer];
    return layer->state + (size_t)seq * layer->shape.n_state;
}

/* Stores k [batch n][n_head_kv * k_dim] and v [batch n][n_head_kv * v_dim] at the batch's
 * positions.
 */
void td_kv_write(td_step *step, int i_layer, const float *k, const float *v);

#endif
