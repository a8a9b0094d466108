#include <errno.h>

#include "report/query.h"

static const char *const names[DIM_COUNT] = {
    [DIM_MODEL] = "model", [DIM_TENANT] = "tenant", [DIM_GPU] = "gpu",
    [DIM_HOST] = "host",   [DIM_SITE] = "site",     [DIM_HOUR] = "hour",
    [DIM_DAY] = "day",     [DIM_TIME] = "time",     [DIM_KIND] = "kind",
};

const char *report_dim_name(enum report_dim d)
{
    return names[d];
}

bool report_dim_physical(enum report_dim d)
{
    return d >= DIM_GPU && d <= DIM_TIME;
}

bool report_dim_timed(enum report_dim d)
{
    return d >= DIM_HOUR && d <= DIM_TIME;
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
                             "': choose from model, tenant, gpu, host, site, hour, day, time, kind",
                             STR_ARG(name));
        }
        if (named_before(dims, *ret_n, d)) {
            return error_set(err, -EINVAL, "'" STR_FMT "' is named twice", STR_ARG(name));
        }
        dims[(*ret_n)++] = d;
    }
    return 0;
}

int report_filter_parse(struct str text, struct report_filter *ret, struct error *err)
{
    struct str name, value = text;
    (void)str_split(&value, '=', &name);
    enum report_dim d = find_dim(str_trim(name));
    if (d == DIM_COUNT || (d >= DIM_HOUR && d <= DIM_TIME)) {
        return error_set(err, -EINVAL,
                         "cannot choose by '" STR_FMT
                         "': choose from model, tenant, gpu, host, site, kind",
                         STR_ARG(name));
    }
    if (!str_present(value)) {
        return error_set(err, -EINVAL, "'" STR_FMT "' lacks a value: write %s=VALUE", STR_ARG(text),
                         names[d]);
    }
    *ret = (struct report_filter){d, value};
    return 0;
}

int report_step_parse(struct str text, int64_t *ret, struct error *err)
{
    int64_t step;
    if (str_eq(text, STR("window"))) {
        *ret = STEP_WINDOW;
        return 0;
    }
    bool number = text.n > 0 && text.p[text.n - 1] >= '0' && text.p[text.n - 1] <= '9'; // of what?
    bool good = !number && duration_parse(text, &step) == 0 && step >= NS_PER_S &&
                step <= NS_PER_DAY && NS_PER_DAY % step == 0;
    if (!good) {
        return error_set(err, -EINVAL,
                         "'" STR_FMT
                         "' is no step: write window, or a time that divides a day, such "
                         "as 5m, 15m, 1h or 1d",
                         STR_ARG(text));
    }
    *ret = step;
    return 0;
}
