// Who owns a shard. Its document has an epoch, which only grows: whoever takes the shard increments
// it, and states are written under the own epoch alone (progress.c). Beside it stands the owner's
// id, whose document in `owners` says when it was last seen, by the server's clock: what a clock of
// another machine shows does not matter.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "output/mongo/documents.h"
#include "output/mongo/driver.h"

enum { LEASE_MS = 15000, ATTEMPTS = 16 };

struct mg_shard *mg_shard(struct mg_writer *w, uint32_t shard)
{
    if (w->shards[shard] == NULL) {
        struct mg_shard *new = x_zalloc(sizeof(*new));
        new->shard = shard;
        new->state = store_no_state(shard);
        new->bounds = mg_no_bounds();
        w->shards[shard] = new;
        w->shards_end = MAX(w->shards_end, shard + 1);
    }
    return w->shards[shard];
}

// ---- what is said of a process -------------------------------------------------------------

// The boot and the pid namespace that a pid is of.
static void read_machine(char *ret, size_t size)
{
    char boot[64] = "", space[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, boot, sizeof(boot) - 1);
        boot[n > 0 ? n - 1 : 0] = '\0'; // without the newline
        close(fd);
    }
    ssize_t n = readlink("/proc/self/ns/pid", space, sizeof(space) - 1);
    space[n > 0 ? n : 0] = '\0';
    (void)snprintf(ret, size, "%s %s", boot, space);
}

static void write_owner(struct mg_buf *b)
{
    char host[256] = "", machine[160];
    (void)gethostname(host, sizeof(host) - 1);
    read_machine(machine, sizeof(machine));
    size_t u = MG_DOC(b, "u"), now = MG_DOC(b, "$currentDate");
    MG_BOOL(b, "seen", true);
    mg_end(b, now);
    size_t set = MG_DOC(b, "$set");
    MG_STR(b, "host", str_of(host));
    MG_I32(b, "pid", (int32_t)getpid());
    MG_STR(b, "machine", str_of(machine));
    mg_end(b, set);
    mg_end(b, u);
    MG_BOOL(b, "upsert", true);
}

int mg_alive(struct store *base, struct error *err)
{
    struct mg_store *s = mg_of(base);
    struct mg_batch m;
    if (s->writer == NULL) {
        return 0;
    }
    mg_batch_init(&m, "update", "owners");
    size_t one = mg_batch_add(&m), q = MG_DOC(&m.b, "q");
    MG_STR(&m.b, "_id", str_of(s->writer->id));
    mg_end(&m.b, q);
    write_owner(&m.b);
    mg_end(&m.b, one);
    int r = mg_batch_flush(&s->conn, &m, err);
    mg_batch_done(&m);
    s->writer->announced |= r == 0;
    return r < 0 ? r : mg_flush_gpus_due(s, err);
}

static int server_time(struct mg_store *s, int64_t *ret_ms, struct error *err)
{
    struct mg_buf b = {0};
    bson_t reply;
    bson_iter_t it;
    size_t at = mg_begin(&b);
    MG_I32(&b, "hello", 1);
    mg_end(&b, at);
    int r = mg_run(&s->conn, MG_READ, &b, at, &reply, err);
    if (r == 0) {
        bool known =
            bson_iter_init_find(&it, &reply, "localTime") && BSON_ITER_HOLDS_DATE_TIME(&it);
        *ret_ms = known ? bson_iter_date_time(&it) : clock_wall(&clock_system) / NS_PER_MS;
    }
    bson_destroy(&reply);
    mg_buf_done(&b);
    return r;
}

static bool process_gone(const bson_t *owner)
{
    char machine[160];
    int64_t pid = 0;
    read_machine(machine, sizeof(machine));
    return str_eq(mg_find_str(owner, "machine"), str_of(machine)) &&
           mg_find_int(owner, "pid", &pid) && pid != getpid() && kill((pid_t)pid, 0) < 0 &&
           errno == ESRCH;
}

static int refuse(struct mg_store *s, uint32_t shard, const bson_t *owner, struct error *err)
{
    struct str host = mg_find_str(owner, "host");
    int64_t pid = 0;
    (void)mg_find_int(owner, "pid", &pid);
    return error_set(err, -EBUSY,
                     "%s: shard %u is being written by process %lld on " STR_FMT
                     ": stop that one, or wait %d seconds if it is gone",
                     s->conn.name, (unsigned)shard, (long long)pid, STR_ARG(host), LEASE_MS / 1000);
}

// -EBUSY while this owner lives.
static int check_owner(struct mg_store *s, uint32_t shard, const char *id, struct error *err)
{
    struct mg_query q = {0};
    bson_t owner;
    bson_iter_t it;
    int64_t now = 0;
    size_t f = mg_begin(&q.filter);
    MG_STR(&q.filter, "_id", str_of(id));
    mg_end(&q.filter, f);
    int r = mg_find_one(&s->conn, "owners", &q, &owner, err);
    mg_query_done(&q);
    if (r <= 0) {
        return r;
    }
    r = server_time(s, &now, err);
    bool seen = bson_iter_init_find(&it, &owner, "seen") && BSON_ITER_HOLDS_DATE_TIME(&it) &&
                now - bson_iter_date_time(&it) < LEASE_MS;
    if (r == 0 && seen && !process_gone(&owner)) {
        r = refuse(s, shard, &owner, err);
    }
    bson_destroy(&owner);
    return r;
}

// ---- taking --------------------------------------------------------------------------------

static void id_query(struct mg_buf *b, uint32_t shard)
{
    MG_I32(b, "_id", (int32_t)shard);
}

// A shard's document, or as if nobody had ever taken it.
static int load_shard(struct mg_store *s, uint32_t shard, struct arena *a, struct mg_shard_doc *ret,
                      struct error *err)
{
    struct mg_query q = {0};
    bson_t doc;
    uint32_t id;
    size_t f = mg_begin(&q.filter);
    id_query(&q.filter, shard);
    mg_end(&q.filter, f);
    *ret = (struct mg_shard_doc){.state = store_no_state(shard), .bounds = mg_no_bounds()};
    int r = mg_find_one(&s->conn, "shards", &q, &doc, err);
    mg_query_done(&q);
    if (r > 0) {
        r = mg_parse_shard(&doc, a, &id, ret);
        r = r < 0 ? mg_fail_corrupt(&s->conn, "shards", err) : 0;
        bson_destroy(&doc);
    }
    return r;
}

static void write_take(struct mg_buf *b, struct mg_store *s, uint32_t shard, int64_t epoch)
{
    const int64_t now = clock_wall(&clock_system);
    MG_STR(b, "findAndModify", STR("shards"));
    size_t q = MG_DOC(b, "query");
    id_query(b, shard);
    if (epoch > 0) {
        MG_I64(b, "epoch", epoch);
    } else {
        size_t none = MG_DOC(b, "epoch");
        MG_BOOL(b, "$exists", false);
        mg_end(b, none);
    }
    mg_end(b, q);
    size_t u = MG_DOC(b, "update"), set = MG_DOC(b, "$set");
    MG_I64(b, "epoch", epoch + 1);
    MG_STR(b, "owner", str_of(s->writer->id));
    MG_DATE(b, "taken", now);
    mg_end(b, set);
    mg_end(b, u);
    MG_BOOL(b, "upsert", epoch == 0);
    MG_BOOL(b, "new", true);
}

static int parse_taken(struct mg_store *s, const bson_t *reply, struct arena *a,
                       struct mg_shard_doc *ret, struct error *err)
{
    bson_iter_t it;
    bson_t doc;
    const uint8_t *p = NULL;
    uint32_t n = 0, shard;
    if (!bson_iter_init_find(&it, reply, "value") || !BSON_ITER_HOLDS_DOCUMENT(&it)) {
        return -EAGAIN; // somebody else took it meanwhile
    }
    bson_iter_document(&it, &n, &p);
    if (!bson_init_static(&doc, p, n) || mg_parse_shard(&doc, a, &shard, ret) < 0) {
        return mg_fail_corrupt(&s->conn, "shards", err);
    }
    return 0;
}

// Increments the epoch if it still is what it was: -EAGAIN when it is not.
static int take_epoch(struct mg_store *s, uint32_t shard, struct arena *a, struct mg_shard_doc *d,
                      struct error *err)
{
    struct mg_buf b = {0};
    bson_t reply;
    size_t at = mg_begin(&b);
    if (d->epoch >= MG_EPOCH_MAX) {
        mg_buf_done(&b);
        return error_set(err, -EOVERFLOW,
                         "%s: shard %u was taken a million times; begin a new "
                         "database",
                         s->conn.name, (unsigned)shard);
    }
    write_take(&b, s, shard, d->epoch);
    mg_end(&b, at);
    int r = mg_run(&s->conn, MG_WRITE, &b, at, &reply, err);
    if (r < 0 && mg_reply_int(&reply, "code") == MG_DUPLICATE_KEY) {
        r = -EAGAIN;
    } else if (r == 0) {
        r = parse_taken(s, &reply, a, d, err);
    }
    bson_destroy(&reply);
    mg_buf_done(&b);
    return r;
}

static void become_owner(struct mg_store *s, uint32_t shard, const struct mg_shard_doc *d)
{
    struct mg_shard *own = mg_shard(s->writer, shard);
    if (own->epoch != d->epoch) {
        own->given[0] = own->given[1] = 0;
        mg_windows_forget(own);
    }
    own->epoch = d->epoch;
    own->holding = MG_HELD;
    own->state = d->state;
    own->bounds = d->bounds;
    own->gpus_seq = own->gpus_stored = d->gpus_seq;
    s->writer->raw_from = MAX(s->writer->raw_from, d->bounds.raw_from);
}

static int attempt(struct mg_store *s, uint32_t shard, enum shard_claim claim, struct arena *a,
                   struct mg_shard_doc *d, bool *ret_kept, struct error *err)
{
    struct mg_shard *own = mg_shard(s->writer, shard);
    int r = load_shard(s, shard, a, d, err);
    if (r < 0) {
        return r;
    }
    bool mine = strcmp(d->owner, s->writer->id) == 0;
    *ret_kept = mine && d->epoch > 0 && d->epoch == own->epoch;
    if (*ret_kept) {
        return 0;
    }
    if (claim == SHARD_EXCLUSIVE && d->owner[0] && !mine) {
        r = check_owner(s, shard, d->owner, err);
    }
    return r < 0 ? r : take_epoch(s, shard, a, d, err);
}

static int take(struct mg_store *s, uint32_t shard, enum shard_claim claim, struct arena *a,
                struct mg_shard_doc *d, bool *ret_kept, struct error *err)
{
    int r = mg_alive(&s->base, err);
    for (int i = 0; r == 0; i++) {
        r = attempt(s, shard, claim, a, d, ret_kept, err);
        if (r != -EAGAIN) {
            break;
        }
        if (i == ATTEMPTS) {
            return error_set(err, -EAGAIN, "%s: shard %u is being taken by several processes",
                             s->conn.name, (unsigned)shard);
        }
        r = 0;
    }
    if (r == 0) {
        become_owner(s, shard, d);
    }
    return r;
}

int mg_take_shard(struct store *base, uint32_t shard, enum shard_claim claim,
                  struct shard_hold *ret, struct error *err)
{
    struct mg_store *s = mg_of(base);
    struct arena a = {0};
    struct mg_shard_doc d;
    bool kept = false;
    if (shard >= STORE_SHARDS_MAX) {
        return error_set(err, -EINVAL, "%s: there is no shard %u", s->conn.name, (unsigned)shard);
    }
    int r = take(s, shard, claim, &a, &d, &kept, err);
    if (r == 0 && !kept) { // what the former owner was shut out of in the middle
        r = mg_roll_again(s, d.ranges, d.n_ranges, err);
    }
    if (r == 0 && !kept && d.gpus_seq > 0) {
        r = mg_find_gpus(s, shard, d.gpus_seq, err);
    }
    if (r == 0) {
        int64_t first = mg_first_seq(shard, d.epoch);
        *ret = (struct shard_hold){.state = d.state, .kept = kept, .own_seq = {first, first}};
        ret->first_seq = mg_first_seq(shard, 0);
    }
    arena_done(&a);
    return r;
}

int mg_claim(struct mg_store *s, uint32_t shard, struct error *err)
{
    struct shard_hold ignored;
    return mg_shard(s->writer, shard)->holding != MG_NEVER
               ? 0
               : mg_take_shard(&s->base, shard, SHARD_EXCLUSIVE, &ignored, err);
}

int mg_next_seq(struct mg_store *s, uint32_t shard, enum record_kind kind, int64_t *ret,
                struct error *err)
{
    struct mg_shard *own = mg_shard(s->writer, shard);
    if (own->given[kind] >= MG_COUNTER_MAX) {
        struct arena a = {0};
        struct mg_shard_doc d = {.epoch = own->epoch};
        int r = take_epoch(s, shard, &a, &d, err);
        arena_done(&a);
        if (r < 0) {
            return r == -EAGAIN ? error_set(err, r, "%s: shard %u was taken by another process",
                                            s->conn.name, (unsigned)shard)
                                : r;
        }
        own->epoch = d.epoch;
        own->given[0] = own->given[1] = 0;
    }
    *ret = mg_first_seq(shard, own->epoch) + ++own->given[kind];
    return 0;
}

// ---- losing, giving back -------------------------------------------------------------------

static void lose(struct mg_shard *own)
{
    own->holding = MG_LOST;
    mg_windows_forget(own);
}

static int compare_epochs(struct mg_store *s, mongoc_cursor_t *cursor, struct error *err)
{
    const bson_t *doc;
    int r;
    while ((r = mg_next(&s->conn, cursor, &doc, err)) > 0) {
        int64_t shard = -1, epoch = -1;
        if (!mg_find_int(doc, "_id", &shard) || !mg_find_int(doc, "epoch", &epoch) || shard < 0 ||
            shard >= STORE_SHARDS_MAX) {
            return mg_fail_corrupt(&s->conn, "shards", err);
        }
        struct mg_shard *own = s->writer->shards[shard];
        if (own && own->holding == MG_HELD && own->epoch != epoch) {
            lose(own);
        }
    }
    return r;
}

int mg_find_lost(struct mg_store *s, struct error *err)
{
    struct mg_query q = {0};
    mongoc_cursor_t *cursor = NULL;
    size_t n = 0, f = mg_begin(&q.filter), id = MG_DOC(&q.filter, "_id");
    size_t list = MG_ARRAY(&q.filter, "$in");
    for (uint32_t i = 0; i < s->writer->shards_end; i++) {
        const struct mg_shard *own = s->writer->shards[i];
        if (own && own->touched && own->holding == MG_HELD) {
            mg_index(&q.filter, '\x10', n++);
            mg_add(&q.filter, &i, sizeof(i));
        }
    }
    mg_end(&q.filter, list);
    mg_end(&q.filter, id);
    mg_end(&q.filter, f);
    struct mono now = clock_mono(&clock_system); // not later than what is read
    int r = n > 0 ? mg_find(&s->conn, "shards", &q, &cursor, err) : 0;
    if (r == 0 && cursor) {
        r = compare_epochs(s, cursor, err);
        mongoc_cursor_destroy(cursor);
    }
    mg_query_done(&q);
    if (r == 0) {
        s->writer->checked = now;
    }
    return r;
}

static int remove_owner(struct mg_store *s)
{
    struct mg_batch m;
    struct error ignored;
    mg_batch_init(&m, "delete", "owners");
    size_t one = mg_batch_add(&m), q = MG_DOC(&m.b, "q");
    MG_STR(&m.b, "_id", str_of(s->writer->id));
    mg_end(&m.b, q);
    MG_I32(&m.b, "limit", 1);
    mg_end(&m.b, one);
    int r = mg_batch_flush(&s->conn, &m, &ignored);
    mg_batch_done(&m);
    return r;
}

// What cannot be given back is free after the lease, and whoever takes it then finds what is left.
void mg_give_back(struct mg_store *s)
{
    struct mg_batch m;
    struct error ignored;
    if (mg_flush_gpus(s, &ignored) < 0 || !s->writer->announced) {
        return;
    }
    mg_batch_init(&m, "update", "shards");
    for (uint32_t i = 0; i < s->writer->shards_end; i++) {
        const struct mg_shard *own = s->writer->shards[i];
        if (own == NULL || own->holding != MG_HELD) {
            continue;
        }
        size_t one = mg_batch_add(&m), q = MG_DOC(&m.b, "q");
        id_query(&m.b, i);
        MG_I64(&m.b, "epoch", own->epoch);
        mg_end(&m.b, q);
        size_t u = MG_DOC(&m.b, "u"), gone = MG_DOC(&m.b, "$unset");
        MG_STR(&m.b, "owner", STR(""));
        mg_end(&m.b, gone);
        size_t max = MG_DOC(&m.b, "$max");
        MG_I64(&m.b, "gpus_seq", own->gpus_seq);
        mg_end(&m.b, max);
        mg_end(&m.b, u);
        mg_end(&m.b, one);
    }
    if (mg_batch_flush(&s->conn, &m, &ignored) == 0) {
        (void)remove_owner(s);
    }
    mg_batch_done(&m);
}
