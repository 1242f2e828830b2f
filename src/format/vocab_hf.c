/* vocab_hf.c - the vocabulary out of the tokenizer files of a Hugging Face folder. */
#include "format/checkpoint.h"

td_status td_vocab_read_folder(const char *folder, const td_checkpoint *ckpt, td_vocab *vocab,
                               td_err *err) {
    (void)ckpt;
    *vocab = (td_vocab){0};
    return td_fail(err, TD_ERR_UNSUPPORTED,
                   "%s: this build does not read the tokenizer files of a folder", folder);
}
