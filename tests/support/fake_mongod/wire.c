#include "wire.h"

enum { OP_REPLY = 1, OP_QUERY = 2004, OP_MSG = 2013 };
enum { FLAG_CHECKSUM = 1, FLAG_MORE_TO_COME = 2 };

static const struct {
    const char *alias, *name;
} aliases[] = {{"isMaster", "hello"},
               {"ismaster", "hello"},
               {"findandmodify", "findAndModify"},
               {"buildinfo", "buildInfo"}};

uint32_t message_length(const uint8_t *p)
{
    uint32_t n = read_u32(p);
    return n >= HEADER_SIZE + 5 && n <= MESSAGE_MAX ? n : 0;
}

static struct str canonical(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (str_eq(name, str_of(aliases[i].alias))) {
            return str_of(aliases[i].name);
        }
    }
    return name;
}

static bool parse_query(struct request *r, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *ns = p + 4; // behind the flags
    const uint8_t *nul = end - p > 4 ? memchr(ns, 0, (size_t)(end - ns)) : NULL;
    if (!nul || end - nul < 9) {
        return false;
    }
    struct str rest = {(const char *)ns, (size_t)(nul - ns)};
    str_split(&rest, '.', &r->db);
    r->legacy = true;
    r->body = doc_at(nul + 9, (size_t)(end - nul - 9)); // behind what to skip and to return
    return r->body.p && str_eq(rest, STR("$cmd"));
}

static bool parse_section(struct request *r, const uint8_t *p, uint32_t n)
{
    const uint8_t *nul = n > 4 ? memchr(p + 4, 0, n - 4) : NULL;
    if (!nul || r->n_sections == SECTIONS_MAX) {
        return false;
    }
    struct str name = {(const char *)p + 4, (size_t)(nul - p - 4)};
    r->sections[r->n_sections++] = (struct section){name, nul + 1, p + n};
    return true;
}

static bool parse_sections(struct request *r, const uint8_t *p, const uint8_t *end)
{
    while (p < end) {
        uint8_t kind = *p++;
        size_t room = (size_t)(end - p);
        if (room < 4 || read_u32(p) > room || kind > 1) {
            return false;
        }
        uint32_t n = read_u32(p);
        if (kind == 0) {
            r->body = doc_at(p, n);
        }
        if (kind == 0 ? !r->body.p : !parse_section(r, p, n)) {
            return false;
        }
        p += n;
    }
    return r->body.p != NULL;
}

static bool parse_msg(struct request *r, const uint8_t *p, const uint8_t *end)
{
    uint32_t flags = read_u32(p);
    r->unheard = (flags & FLAG_MORE_TO_COME) != 0;
    end -= flags & FLAG_CHECKSUM ? 4 : 0;
    if (end - p < 4 || !parse_sections(r, p + 4, end)) {
        return false;
    }
    r->db = value_str(doc_get(r->body, "$db"));
    return str_present(r->db);
}

static bool name_command(struct request *r)
{
    struct walk w = walk_doc(r->body);
    if (!walk_next(&w)) {
        return false;
    }
    r->name = canonical(w.key);
    r->coll = value_str(str_eq(r->name, STR("getMore")) ? doc_get(r->body, "collection") : w.v);
    return true;
}

// What a batch consists of is looked at when its turn comes, wherever it stands.
static bool is_batch(const struct request *r, struct str key)
{
    return str_eq(r->name, STR("insert"))   ? str_eq(key, STR("documents"))
           : str_eq(r->name, STR("update")) ? str_eq(key, STR("updates"))
           : str_eq(r->name, STR("delete")) ? str_eq(key, STR("deletes"))
                                            : false;
}

static bool body_sound(const struct request *r)
{
    struct walk w = walk_doc(r->body);
    while (walk_next(&w)) {
        struct doc inner = is_batch(r, w.key) ? (struct doc){0} : value_doc(w.v);
        if (inner.p && !doc_sound(inner)) {
            return false;
        }
    }
    return r->body.p && !w.broken;
}

bool request_parse(struct request *ret, const uint8_t *p, uint32_t n)
{
    uint32_t op = read_u32(p + 12);
    *ret = (struct request){.id = (int32_t)read_u32(p + 4)};
    bool good = op == OP_MSG     ? parse_msg(ret, p + HEADER_SIZE, p + n)
                : op == OP_QUERY ? parse_query(ret, p + HEADER_SIZE, p + n)
                                 : false;
    return good && name_command(ret) && body_sound(ret);
}

struct batch request_batch(const struct request *r, const char *name)
{
    for (size_t i = 0; i < r->n_sections; i++) {
        if (str_eq(r->sections[i].name, str_of(name))) {
            return (struct batch){.at = r->sections[i].at, .end = r->sections[i].end};
        }
    }
    return (struct batch){.array = walk_doc(value_doc(doc_get(r->body, name)))};
}

bool batch_next(struct batch *b, struct doc *ret)
{
    if (!b->at) {
        bool more = walk_next(&b->array);
        *ret = more ? value_doc(b->array.v) : (struct doc){0};
        b->broken = b->array.broken || (more && !ret->p);
        return ret->p != NULL;
    }
    if (b->at == b->end) {
        return false;
    }
    *ret = doc_at(b->at, (size_t)(b->end - b->at));
    b->broken = !ret->p;
    b->at = b->broken ? b->end : b->at + ret->n;
    return !b->broken;
}

static void add_u32(struct buf *b, uint32_t v)
{
    buf_add(b, &v, sizeof(v));
}

size_t answer_begin(struct buf *to, const struct request *r)
{
    size_t mark = to->n;
    add_u32(to, 0); // the length, when it is known
    add_u32(to, 0);
    add_u32(to, (uint32_t)r->id);
    add_u32(to, r->legacy ? OP_REPLY : OP_MSG);
    add_u32(to, r->legacy ? 8 : 0); // AwaitCapable, as every server says; no flags
    if (r->legacy) {
        buf_add(to, "\0\0\0\0\0\0\0\0\0\0\0\0", 12); // no cursor, from the first on
        add_u32(to, 1);
    } else {
        buf_char(to, '\0'); // one section of kind 0
    }
    return mark;
}

void answer_end(struct buf *to, size_t mark)
{
    if (buf_ok(to)) {
        uint32_t n = (uint32_t)(to->n - mark);
        memcpy(to->p + mark, &n, sizeof(n));
    }
}
