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

void csv_field(struct buf *b, bool first, struct str text)
{
    if (!first) {
        buf_char(b, ',');
    }
    if (!must_quote(text)) {
        buf_str(b, text);
        return;
    }
    buf_char(b, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"') {
            buf_char(b, '"');
        }
        buf_char(b, text.p[i]);
    }
    buf_char(b, '"');
}

void csv_end(struct buf *b)
{
    buf_cstr(b, "\r\n");
}
