/* replay.c - runs a fuzz target over the files of a folder, where there is no libFuzzer.
 *
 * A fuzz_<parser>.c file defines LLVMFuzzerTestOneInput() and nothing else, so the same file is a
 * libFuzzer target (`make fuzz T=<parser>`) and, linked with this main, a test that replays
 * tests/fuzz/corpus/<parser>.  Each input is named before it runs, so that a crash has a name, and
 * lies in a block of exactly its size, so that AddressSanitizer sees the first byte read too far.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return -1;
    long size = -1;
    if (fseek(f, 0, SEEK_END) == 0) size = ftell(f);
    rewind(f);
    uint8_t *data = size >= 0 ? malloc((size_t)size) : NULL;
    const int ok = data && fread(data, 1, (size_t)size, f) == (size_t)size;
    fclose(f);
    if (ok) LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return ok ? 0 : -1;
}

/* Number of inputs replayed, or -1 if one could not be read. */
static int replay_folder(const char *folder) {
    struct dirent **entries;
    const int n_entry = scandir(folder, &entries, NULL, alphasort);
    int n_input = 0, failed = 0;
    for (int i = 0; i < n_entry; i++) {
        char path[4096];
        const int n = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            printf("replaying %s\n", path);
            fflush(stdout);
            if (n < 0 || (size_t)n >= sizeof path || replay_file(path) != 0) {
                printf("cannot read %s\n", path);
                failed = 1;
            }
            n_input++;
        }
        free(entries[i]);
    }
    if (n_entry >= 0) free(entries);
    return failed ? -1 : n_input;
}

int main(int argc, char **argv) {
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    int n_input = 0;
    for (int i = 1; i < argc; i++) {
        const int n = replay_folder(argv[i]);
        if (n < 0) return 1;
        n_input += n;
    }
    printf("%d inputs replayed\n", n_input);
    return 0;
}
