// What the routes of /api/v1 write: times, problems, tags.
#include <errno.h>
#include <stdio.h>

#include "api/api_impl.h"
#include "base/hash.h"

void api_send(struct api_task *t, struct buf *body)
{
    const char *type = t->route->type ? t->route->type : "application/json";
    buf_char(body, '\n');
    if (buf_ok(body)) {
        http_answer_owned(t->x, 200, type, NULL, buf_view(body), body->p);
        *body = (struct buf){0};
    } else {
        http_refuse(t->x, 400,
                    "the answer is more than %d MB: ask for a shorter time, fewer rows, or choose",
                    API_ANSWER_MAX >> 20);
    }
    buf_done(body);
}

void api_fail(struct api_task *t, const struct error *err)
{
    bool asked = err->code == -EINVAL || err->code == -E2BIG;
    t->store_failed = !asked && err->code != -ENODATA;
    http_refuse(t->x, asked ? 400 : err->code == -ENODATA ? 404 : 503, "%s", err->msg);
}

bool api_unchanged(struct api_task *t, uint64_t more)
{
    struct store_info i;
    struct error err = {0};
    char tag[HTTP_ETAG_MAX + 1];
    if (store_info(t->store, &i, &err) < 0) {
        api_fail(t, &err);
        return true;
    }
    const int64_t of[] = {(int64_t)i.data_version, i.first, i.last, i.samples, i.usages};
    snprintf(tag, sizeof(tag), "%016llx%016llx", (unsigned long long)hash_bytes(of, sizeof(of), 1),
             (unsigned long long)hash_bytes(&more, sizeof(more), t->hash));
    return http_not_modified(t->x, tag);
}

bool api_range(struct api_task *t, const struct time_spec *since, const struct time_spec *until,
               const struct zone *zone, int64_t most, int64_t *ret_from, int64_t *ret_to)
{
    *ret_from = time_spec_resolve(since, zone, t->now, INT64_MIN);
    *ret_to = time_spec_resolve(until, zone, t->now, INT64_MAX);
    if (*ret_from >= *ret_to) {
        http_refuse_parameter(t->x, "since", "since must be before until");
        return false;
    }
    int64_t from = MAX(*ret_from, INT64_C(0)), to = MIN(*ret_to, TIME_MAX);
    if (since->kind != TIME_UNSET && until->kind != TIME_UNSET && to - from > most) {
        http_refuse_parameter(t->x, "since",
                              "more than %lld days: ask for a later since, or an earlier until",
                              (long long)(most / NS_PER_DAY));
        return false;
    }
    return true;
}
