// Stands in for libFuzzer where there is none: runs the fuzzer once over each file of a folder, and
// over nothing at all.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "fuzz.h"

enum { INPUT_MAX = 4 << 20 };

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    AUTO_FREE uint8_t *data = x_alloc(INPUT_MAX);
    size_t n = fread(data, 1, INPUT_MAX, f);
    fclose(f);
    // A block of just this size lets ASan see a read past the end.
    AUTO_FREE uint8_t *exact = x_alloc(n);
    memcpy(exact, data, n);
    return LLVMFuzzerTestOneInput(exact, n);
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (dir == NULL) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    int failed = LLVMFuzzerTestOneInput((const uint8_t *)"", 0), count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        AUTO_FREE char *path = x_asprintf("%s/%s", argv[1], entry->d_name);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            failed |= replay(path);
            count++;
        }
    }
    closedir(dir);
    printf("%d inputs replayed\n", count);
    return failed || count == 0;
}
