#include "cmd/suggest.h"

#include <stdint.h>
#include <string.h>

#include "base/macros.h"

enum { WORD_MAX = 40 };

// Optimal string alignment distance, three rows at a time.
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][WORD_MAX + 1] = {0};
    for (size_t j = 0; j <= m; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t slip = a[i - 1] != b[j - 1];
            size_t edited = MIN(last[j], now[j - 1]) + 1, kept = last[j - 1] + slip;
            now[j] = MIN(edited, kept);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = MIN(now[j], before[j - 2] + 1);
            }
        }
    }
    return rows[n % 3][m];
}

const char *suggest(const char *word, const char *const *candidates)
{
    size_t n = strlen(word), nearest = SIZE_MAX;
    const char *found = NULL;
    if (n == 0 || n > WORD_MAX) {
        return NULL;
    }
    for (; *candidates; candidates++) {
        size_t m = strlen(*candidates);
        if (m > WORD_MAX) {
            continue;
        }
        size_t d = strncmp(word, *candidates, n) == 0 ? 0 : distance(word, n, *candidates, m);
        if (d < nearest && d <= (n + 2) / 3) {
            nearest = d;
            found = *candidates;
        }
    }
    return found;
}
