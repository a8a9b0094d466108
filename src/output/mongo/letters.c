// Dead letters. One whose input says where it stood has an _id made of that, its reason and its
// text, so that what is read again after a crash does not come twice; others get an id of their
// own.
#include "base/hash.h"
#include "base/utf8.h"
#include "output/mongo/mongo.h"

static uint64_t content_hash(const struct dead_letter *d, uint64_t seed)
{
    uint64_t h = hash_str(d->origin, seed ^ (uint64_t)d->position);
    return hash_str(d->payload, hash_str(d->reason, h));
}

// As long as a UUID, and of the kind whose bits are anybody's (RFC 9562, section 5.8).
static void derive_id(const struct dead_letter *d, char ret[UUID_TEXT + 1])
{
    uint64_t a = content_hash(d, 0), b = content_hash(d, UINT64_C(0x9e3779b97f4a7c15));
    (void)snprintf(ret, UUID_TEXT + 1, "%08x-%04x-8%03x-8%03x-%012llx", (unsigned)(a >> 32),
                   (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff), (unsigned)(b >> 52),
                   (unsigned long long)(b & 0xffffffffffff));
}

static void write_text(struct mg_buf *b, struct str payload)
{
    if (!str_present(payload)) {
        return;
    }
    if (utf8_valid(payload)) {
        MG_STR(b, "payload", payload);
    } else {
        mg_bytes(b, MG_KEY("\x05", "payload"), payload);
    }
}

static void write_letter(struct mg_writer *w, const struct dead_letter *d)
{
    struct mg_buf *b = &w->letters.b;
    char id[UUID_TEXT + 1] = "";
    int64_t now = clock_wall(&clock_system);
    w->arrived = MAX(w->arrived + 1, now);
    if (d->origin.n > 0) {
        derive_id(d, id);
    } else {
        uuid7_next(&w->uuids, now, id);
    }
    size_t one = mg_batch_add(&w->letters);
    MG_STR(b, "_id", str_of(id));
    MG_DATE(b, "at", d->at);
    MG_I64(b, "at_ns", d->at);
    MG_MAYBE_STR(b, "origin", d->origin);
    MG_I64(b, "position", d->position);
    MG_MAYBE_STR(b, "reason", d->reason);
    write_text(b, d->payload);
    MG_I64(b, "arrived", w->arrived);
    mg_end(b, one);
}

int mg_flush_letters(struct mg_store *s, struct error *err)
{
    struct mg_batch *m = &s->writer->letters;
    bson_t reply;
    bson_iter_t it;
    struct mg_write_error e;
    if (m->n == 0) {
        return 0;
    }
    int r = mg_batch_run(&s->conn, m, &reply, err);
    bool failed = r == 0 && mg_write_errors_begin(&reply, &it);
    while (r == 0 && failed && mg_write_errors_next(&it, &e)) {
        r = e.duplicate_id ? 0 : mg_fail_code(&s->conn, e.code, e.text.p, err);
    }
    bson_destroy(&reply);
    mg_batch_clear(m);
    return r;
}

int mg_put_letter(struct mg_store *s, const struct dead_letter *d, struct error *err)
{
    write_letter(s->writer, d);
    return mg_batch_full(&s->writer->letters) ? mg_flush_letters(s, err) : 0;
}
