#include <errno.h>

#include "report/query.h"

static const char *const names[DIM_COUNT] = {
    [DIM_MODEL] = "model", [DIM_TENANT] = "tenant", [DIM_GPU] = "gpu", [DIM_HOST] = "host",
    [DIM_SITE] = "site",   [DIM_HOUR] = "hour",     [DIM_DAY] = "day", [DIM_KIND] = "kind",
};

const char *report_dim_name(enum report_dim d)
{
    return names[d];
}

bool report_groups_have_bills(const struct report_query *q)
{
    for (size_t i = 0; i < q->n_by; i++) {
        if (!report_dim_physical(q->by[i])) {
            return false;
        }
    }
    return q->n_by > 0;
}

static enum report_dim find_dim(struct str name)
{
    enum report_dim d = 0;
    while (d < DIM_COUNT && !str_eq(name, str_of(names[d]))) {
        d++;
    }
    return d;
}

static bool named_before(const enum report_dim *dims, size_t n, enum report_dim d)
{
    for (size_t i = 0; i < n; i++) {
        if (dims[i] == d) {
            return true;
        }
    }
    return false;
}

int report_dims_parse(struct str text, enum report_dim dims[DIM_COUNT], size_t *ret_n,
                      struct error *err)
{
    struct str name;
    *ret_n = 0;
    if (text.n == 0) {
        return 0;
    }
    while (str_split(&text, ',', &name)) {
        enum report_dim d = find_dim(str_trim(name));
        if (d == DIM_COUNT) {
            return error_set(err, -EINVAL,
                             "cannot group by '" STR_FMT
                             "': choose from model, tenant, gpu, host, site, hour, day, kind",
                             STR_ARG(name));
        }
        if (named_before(dims, *ret_n, d)) {
            return error_set(err, -EINVAL, "'" STR_FMT "' is named twice", STR_ARG(name));
        }
        dims[(*ret_n)++] = d;
    }
    return 0;
}
