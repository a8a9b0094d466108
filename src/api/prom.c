#include "api/prom.h"

#include <math.h>

#include "base/utf8.h"

void prom_family(struct prom *p, const char *name, const char *type, const char *help)
{
    struct str family = str_of(name);
    if (p->openmetrics && str_ends(family, STR("_total"))) {
        family.n -= sizeof("_total") - 1;
    }
    p->name = name;
    buf_printf(p->b, "# HELP " STR_FMT " %s\n# TYPE " STR_FMT " %s\n", STR_ARG(family), help,
               STR_ARG(family), type);
}

void prom_begin_part(struct prom *p, const char *suffix)
{
    buf_cstr(p->b, p->name);
    buf_cstr(p->b, suffix);
    p->labelled = false;
}

void prom_begin(struct prom *p)
{
    prom_begin_part(p, "");
}

void prom_label(struct prom *p, const char *name, struct str value)
{
    buf_char(p->b, p->labelled ? ',' : '{');
    p->labelled = true;
    buf_printf(p->b, "%s=\"", name);
    size_t len;
    for (size_t i = 0; i < value.n; i += MAX(len, (size_t)1)) {
        const char *c = value.p + i;
        len = utf8_length(c, value.n - i);
        if (len == 0) { // a page with other bytes is refused as a whole
            buf_cstr(p->b, "\xef\xbf\xbd");
        } else if (*c == '\n') {
            buf_cstr(p->b, "\\n");
        } else {
            buf_cstr(p->b, *c == '\\' || *c == '"' ? "\\" : "");
            buf_add(p->b, c, len);
        }
    }
    buf_char(p->b, '"');
}

static void end_labels(struct prom *p)
{
    buf_cstr(p->b, p->labelled ? "} " : " ");
}

void prom_int(struct prom *p, int64_t value)
{
    end_labels(p);
    buf_i64(p->b, value);
    buf_char(p->b, '\n');
}

void prom_real(struct prom *p, double value)
{
    end_labels(p);
    if (isfinite(value)) {
        buf_double(p->b, value);
    } else {
        buf_cstr(p->b, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
    }
    buf_char(p->b, '\n');
}

void prom_end(struct prom *p)
{
    if (p->openmetrics) {
        buf_cstr(p->b, "# EOF\n");
    }
}

void prom_single_int(struct prom *p, const char *name, const char *type, const char *help,
                     int64_t value)
{
    prom_family(p, name, type, help);
    prom_begin(p);
    prom_int(p, value);
}

void prom_single_real(struct prom *p, const char *name, const char *type, const char *help,
                      double value)
{
    prom_family(p, name, type, help);
    prom_begin(p);
    prom_real(p, value);
}
