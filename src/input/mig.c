#include "input/mig.h"

#include "base/buf.h"

enum { NAME_MAX_BYTES = 512, SLICES_DIGITS = 2, MIB_PER_GB = 1024 };

static const struct str mark = {" MIG ", 5};

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
