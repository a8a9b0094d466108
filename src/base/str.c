#include "base/str.h"

int str_cmp(struct str a, struct str b)
{
    if (a.p == NULL || b.p == NULL) {
        return (a.p != NULL) - (b.p != NULL);
    }
    size_t common = a.n < b.n ? a.n : b.n;
    int order = common ? memcmp(a.p, b.p, common) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

bool str_split(struct str *s, char sep, struct str *ret_head)
{
    if (s->p == NULL) {
        return false;
    }
    const char *at = s->n ? memchr(s->p, sep, s->n) : NULL;
    if (at == NULL) {
        *ret_head = *s;
        *s = STR_NONE;
        return true;
    }
    size_t head = (size_t)(at - s->p);
    *ret_head = (struct str){s->p, head};
    *s = (struct str){at + 1, s->n - head - 1};
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool char_matches(char pattern, char c)
{
    return pattern == '?' || lower(pattern) == lower(c);
}

// Only the last star is ever retried: what earlier ones matched can stay as short as it was, so
// there is no exponential case.
bool str_glob(struct str pattern, struct str s)
{
    size_t p = 0, i = 0, after_star = 0, retry = 0;
    bool star = false;
    while (i < s.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = true;
            after_star = ++p;
            retry = i;
        } else if (p < pattern.n && char_matches(pattern.p[p], s.p[i])) {
            p++;
            i++;
        } else if (star) {
            p = after_star;
            i = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') {
        p++;
    }
    return p == pattern.n;
}
