// Rows of the public captures of nvidia-smi in ../shared, which are not part of the project.
#pragma once

#include "base/alloc.h"
#include "base/buf.h"
#include "test.h"

#define CAPTURE_2080 "linux-x86_64__nvidia-geforce-rtx-2080-super__595.71.05.txt"
#define CAPTURE_H100 "linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01.txt"
#define CAPTURE_MIG "linux-x86_64__nvidia-h100-mig__590.48.01.txt"

// Adds the lines of a section ("load :: query-gpu"), header and row, to *ret. False, with a
// message: there is no reference data.
static inline bool capture_read(const char *file, const char *section, struct buf *ret)
{
    enum { CAPTURE_MAX = 1 << 20 };
    const char *shared = getenv("GTAP_SHARED");
    AUTO_FREE char *path = x_asprintf("%s/data/nvidia-smi/%s", shared ? shared : "../shared", file);
    AUTO_FREE char *text = x_alloc(CAPTURE_MAX);
    AUTO_FREE char *title = x_asprintf("# %s ", section);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        print_message("skipped: no reference data at %s\n", path);
        return false;
    }
    struct str rest = {text, fread(text, 1, CAPTURE_MAX, f)}, line;
    fclose(f);
    bool inside = false;
    while (str_split(&rest, '\n', &line)) {
        bool comment = str_starts(line, STR("#"));
        if (inside && line.n == 0) {
            return true;
        }
        inside |= str_starts(line, str_of(title));
        if (inside && !comment) {
            buf_str(ret, line);
            buf_char(ret, '\n');
        }
    }
    fail_msg("%s has no section %s", path, section);
    return false;
}
