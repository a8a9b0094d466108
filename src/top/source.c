#include "top/source.h"

#include "base/alloc.h"

int top_source_fetch(struct top_source *s, const struct top_ask *ask, struct top_snapshot **ret,
                     struct error *err)
{
    struct top_snapshot *snapshot = x_zalloc(sizeof(*snapshot));
    int64_t at = ask->at == INT64_MIN ? clock_wall(s->clock) : ask->at;
    top_snapshot_init(snapshot, ask, at);
    int r = s->ops->fetch(s, snapshot, err);
    if (r < 0) {
        top_snapshot_free(snapshot);
        return r;
    }
    *ret = snapshot;
    return 0;
}

void top_source_close(struct top_source *s)
{
    if (s) {
        s->ops->close(s);
    }
}
