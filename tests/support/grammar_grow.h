/* grammar_grow.h - a text that a grammar allows, grown byte by byte, for the fuzz targets.
 *
 * What can never match is taken out of a grammar, so a text that is not whole can always go on,
 * unless only a token can do so: anything else aborts. */
#ifndef TD_TESTS_GRAMMAR_GROW_H
#define TD_TESTS_GRAMMAR_GROW_H

#include <stdlib.h>

#include "text/grammar_int.h"

static inline void grammar_grow(td_matcher *m, uint32_t dice) {
    for (int i = 0; i < 40; i++) {
        td_err err;
        bool moved = false;
        for (uint32_t k = 0; k < 256 && !moved; k++) {
            const char byte = (char)(dice + k * 37);
            m->steps = 200000;
            m->trouble = TD_GTROUBLE_NONE;
            const uint32_t to = td_gconfig_step(m, m->config, (uint8_t)byte);
            if (m->trouble) return;
            if (to == 0) continue;
            bool ok;
            if (td_matcher_accept_bytes(m, &byte, 1, &ok, &err) != TD_OK || !ok) abort();
            moved = true;
        }
        dice = dice * 1664525u + 1013904223u;
        if (!moved && !td_matcher_can_end(m) && !m->configs[m->config].has_tokens) abort();
        if (!moved) return;
        if (i == 20) td_matcher_forget(m); /* as when a pool is full */
        if (m->trouble) return;
    }
}

#endif
