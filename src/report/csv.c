#include "report/csv.h"

static bool must_quote(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == ',' || c == '"' || c == '\r' || c == '\n') {
            return true;
        }
    }
    return s.n > 0 && (s.p[0] == ' ' || s.p[s.n - 1] == ' ');
}

static void put(struct buf *b, const char *before, struct str text)
{
    if (!must_quote(text)) {
        buf_cstr(b, before);
        buf_str(b, text);
        return;
    }
    buf_char(b, '"');
    buf_cstr(b, before);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"') {
            buf_char(b, '"');
        }
        buf_char(b, text.p[i]);
    }
    buf_char(b, '"');
}

void csv_field(struct buf *b, bool first, struct str text)
{
    buf_cstr(b, first ? "" : ",");
    put(b, "", text);
}

// What spreadsheets take for a formula, https://owasp.org/www-community/attacks/CSV_Injection.
static bool looks_like_formula(struct str s)
{
    static const char begins[] = {'=', '+', '-', '@', '\t', '\r'};
    for (size_t i = 0; i < sizeof(begins) && s.n > 0; i++) {
        if (s.p[0] == begins[i]) {
            return true;
        }
    }
    return false;
}

void csv_foreign(struct buf *b, bool first, struct str text)
{
    buf_cstr(b, first ? "" : ",");
    put(b, looks_like_formula(text) ? "'" : "", text);
}

void csv_end(struct buf *b)
{
    buf_cstr(b, "\r\n");
}
