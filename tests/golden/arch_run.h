/* arch_run.h - the logits of a fixture of arch_model.h, computed by the engine in exact mode.  For
 * cmocka programs: what goes wrong fails the test. */
#ifndef TD_GOLDEN_ARCH_RUN_H
#define TD_GOLDEN_ARCH_RUN_H

#include "engine/engine.h"
#include "support/arch_model.h"

/* An engine as the fixture wants it, on a file or folder. */
td_status arch_open_engine(td_engine **engine, const arch_model *m, const char *path, td_err *err);

/* [n_position][n_vocab]; the caller frees them. */
float *arch_run(const arch_model *m, const char *path);

/* The same by an engine with options of one's own, for which the fixture's path and context are
 * filled in. */
float *arch_run_with(const arch_model *m, const char *path, td_engine_options options);

#endif
