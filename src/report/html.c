#include "report/html.h"

#include "base/decimal.h"
#include "report/digits.h"
#include "report/svg.h"
#include "report/text.h"

struct str html_clean(struct html *h, struct str text)
{
    return str_present(text) ? text_clean(&h->arena, text) : STR("-");
}

void html_text(struct html *h, struct str text)
{
    svg_escape(h->b, html_clean(h, text));
}

struct str html_keep(struct html *h)
{
    struct str kept = arena_copy(&h->arena, buf_view(&h->text));
    buf_clear(&h->text);
    return kept;
}

void html_put_money(struct html *h, struct buf *b, i128 nusd)
{
    digits_grouped(b, digits_round(nusd, h->money.size), h->money.scale);
    buf_cstr(b, " $");
}

struct str html_exact(struct html *h, i128 nusd)
{
    decimal_format_i128(&h->text, nusd, 9);
    return html_keep(h);
}

enum report_dim html_series_dim(const struct report_query *q)
{
    for (size_t i = 0; i < q->n_by; i++) {
        if (q->by[i] == DIM_MODEL || q->by[i] == DIM_TENANT) {
            return q->by[i];
        }
    }
    for (size_t i = 0; i < q->n_by; i++) {
        if (q->by[i] == DIM_GPU || q->by[i] == DIM_HOST || q->by[i] == DIM_SITE) {
            return q->by[i];
        }
    }
    return DIM_MODEL;
}
