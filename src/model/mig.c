#include "model/mig.h"

#include <string.h>

#include "base/buf.h"
#include "base/macros.h"

enum { NAME_MAX_BYTES = 512, SLICES_DIGITS = 2, MIB_PER_GB = 1024 };

static const struct str mark = {" MIG ", 5}, front = {"MIG", 3}, of_mark = {" of ", 4};

struct str mig_name(struct arena *a, struct str profile, struct str gpu)
{
    struct buf b;
    buf_init(&b, NAME_MAX_BYTES);
    buf_cstr(&b, "MIG");
    if (str_present(profile)) {
        buf_char(&b, ' ');
        buf_str(&b, profile);
    }
    if (str_present(gpu)) {
        buf_cstr(&b, " of ");
        buf_str(&b, gpu);
    }
    struct str name = arena_copy(a, buf_view(&b));
    buf_done(&b);
    return name;
}

static struct str without_compute_instance(struct str profile)
{
    struct str rest = profile, head;
    bool whole = !str_split(&rest, '.', &head) || !str_present(rest) || !str_ends(head, STR("c"));
    return whole ? profile : rest;
}

bool mig_split(struct str name, struct str *ret_gpu, struct str *ret_profile)
{
    const char *at = name.n > mark.n ? memmem(name.p, name.n, mark.p, mark.n) : NULL;
    if (at == NULL) {
        return false;
    }
    size_t n = (size_t)(at - name.p);
    *ret_gpu = (struct str){name.p, n};
    *ret_profile = without_compute_instance((struct str){at + mark.n, name.n - n - mark.n});
    return n > 0 && ret_profile->n > 0;
}

struct str mig_profile(struct arena *a, uint32_t slices, uint64_t memory_mib)
{
    struct buf b;
    buf_init(&b, NAME_MAX_BYTES);
    buf_printf(&b, "%ug.%llugb", slices,
               (unsigned long long)(memory_mib / MIB_PER_GB + (memory_mib % MIB_PER_GB != 0)));
    struct str profile = arena_copy(a, buf_view(&b));
    buf_done(&b);
    return profile;
}

uint32_t mig_profile_slices(struct str profile)
{
    struct str own = without_compute_instance(profile);
    uint32_t slices = 0;
    size_t i = 0;
    while (i < own.n && i < SLICES_DIGITS && own.p[i] >= '0' && own.p[i] <= '9') {
        slices = slices * 10 + (uint32_t)(own.p[i++] - '0');
    }
    return i < own.n && own.p[i] == 'g' ? slices : 0;
}

int64_t mig_share(int64_t v, uint32_t slices, uint32_t of)
{
    return (int64_t)(((__int128)v * slices * 2 + of) / (2 * (__int128)of));
}

uint32_t mig_gpu_slices(struct str gpu)
{
    static const struct {
        const char *names;
        uint32_t slices;
    } known[] = {
        {"*A100*", 7}, {"*A800*", 7},         {"*H100*", 7},         {"*H800*", 7},
        {"*H20*", 7},  {"*GH200*", 7},        {"*B100*", 7},         {"*B200*", 7},
        {"*B300*", 7}, {"*A30", 4},           {"*A30 *", 4},         {"*A30X*", 4},
        {"*A30-*", 4}, {"*RTX PRO 6000*", 4}, {"*RTX PRO 5000*", 2}, {"*RTX PRO 4500*", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(known) && str_present(gpu); i++) {
        if (str_glob(str_of(known[i].names), gpu)) {
            return known[i].slices;
        }
    }
    return 0;
}

// ---- names that prices go by ---------------------------------------------------------------

static bool is_slice_name(struct str name)
{
    return str_starts(name, front) && (name.n == front.n || name.p[front.n] == ' ');
}

static void append(struct str *to, char *room, struct str s)
{
    memcpy(room + to->n, s.p, s.n); // texts of records have at most RECORD_TEXT_MAX bytes
    to->n += s.n;
}

struct str mig_sample_name(const struct gpu_sample *s, char room[MIG_NAME_MAX])
{
    struct str gpu = s->name, profile = STR_NONE, name = {room, 0};
    if (is_slice_name(s->name)) {
        return s->name;
    }
    bool driver = str_present(s->name) && mig_split(s->name, &gpu, &profile);
    if (!driver && s->gpu.instance == GPU_INSTANCE_NONE && !str_present(s->mig_profile)) {
        return s->name;
    }
    if (!driver && str_present(s->mig_profile)) {
        profile = without_compute_instance(s->mig_profile);
    }
    if (gpu.n > RECORD_TEXT_MAX || profile.n > RECORD_TEXT_MAX) {
        gpu = profile = STR_NONE;
    }
    append(&name, room, front);
    if (profile.n > 0) {
        append(&name, room, STR(" "));
        append(&name, room, profile);
    }
    if (gpu.n > 0) {
        append(&name, room, of_mark);
        append(&name, room, gpu);
    }
    return name;
}

bool mig_slice_of(struct str name, struct mig_slice *ret)
{
    if (!is_slice_name(name)) {
        return false;
    }
    struct str rest = {name.p + front.n, name.n - front.n}, profile = STR_NONE;
    const char *at = memmem(rest.p, rest.n, of_mark.p, of_mark.n);
    size_t n = at ? (size_t)(at - rest.p) : rest.n;
    *ret = (struct mig_slice){.gpu = STR_NONE};
    if (at) {
        ret->gpu = (struct str){at + of_mark.n, rest.n - n - of_mark.n};
    }
    if (n > 1) {
        profile = (struct str){rest.p + 1, n - 1};
    }
    ret->slices = mig_profile_slices(profile);
    ret->of = mig_gpu_slices(ret->gpu);
    if (ret->slices == 0 || ret->slices > ret->of) {
        ret->slices = ret->of = 0;
    }
    return true;
}
