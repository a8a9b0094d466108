#include "cost/short_id.h"

#include <endian.h>

#include "base/alloc.h"
#include "base/uuid.h"

#define IS_UUID (UINT64_C(1) << 63)
#define IS_NUMBER (UINT64_C(1) << 62)
#define PREFIX_MASK ((UINT64_C(1) << DIGITS_SHIFT) - 1)

enum { DIGITS_SHIFT = 57, DIGITS_MIN = 6, DIGITS_MAX = 18 };
enum { PREFIX_MAX = SHORT_ID_SCRATCH - DIGITS_MAX };

// ---- UUIDs ---------------------------------------------------------------------------------

// Eight digits at a time in a word, the first in its highest byte.
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

enum { DIGITS = 32, WORDS = DIGITS / 8 };

static uint64_t text_of_values(uint64_t values)
{
    uint64_t letters = (values + EACH(6)) >> 4 & EACH(1); // 1 where it is over 9
    return values + EACH('0') + letters * ('a' - '0' - 10);
}

// False: other than lower case digits, as upper case sorts elsewhere.
static bool values_of_text(uint64_t text, uint64_t *ret)
{
    *ret = (text & EACH(0xf)) + 9 * (text >> 6 & EACH(3));
    return (*ret & EACH(0xf0)) == 0 && text_of_values(*ret) == text;
}

// From eight bytes to eight half bytes, and back.
static uint64_t pack_values(uint64_t values)
{
    values = (values | values >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    values = (values | values >> 8) & UINT64_C(0x0000ffff0000ffff);
    return (values | values >> 16) & UINT32_MAX;
}

static uint64_t unpack_values(uint64_t packed)
{
    packed = (packed | packed << 16) & UINT64_C(0x0000ffff0000ffff);
    packed = (packed | packed << 8) & UINT64_C(0x00ff00ff00ff00ff);
    return (packed | packed << 4) & EACH(0xf);
}

static bool has_hyphens(const char *p)
{
    return p[8] == '-' && p[13] == '-' && p[18] == '-' && p[23] == '-';
}

static bool pack_uuid(struct str id, struct short_id *ret)
{
    char digits[DIGITS];
    uint64_t words[WORDS], values[WORDS];
    if (id.n != UUID_TEXT || !has_hyphens(id.p)) {
        return false;
    }
    memcpy(digits, id.p, 8);
    memcpy(digits + 8, id.p + 9, 4);
    memcpy(digits + 12, id.p + 14, 4);
    memcpy(digits + 16, id.p + 19, 4);
    memcpy(digits + 20, id.p + 24, 12);
    memcpy(words, digits, sizeof(words));
    for (size_t i = 0; i < WORDS; i++) {
        if (!values_of_text(be64toh(words[i]), &values[i])) {
            return false;
        }
        values[i] = pack_values(values[i]);
    }
    struct short_id packed = {values[0] << 32 | values[1], values[2] << 32 | values[3]};
    if ((packed.lo & IS_UUID) == 0) {
        return false; // not of the variant of RFC 9562
    }
    *ret = packed;
    return true;
}

static struct str uuid_text(struct short_id id, char *scratch)
{
    char digits[DIGITS];
    const uint64_t packed[WORDS] = {id.hi >> 32, id.hi & UINT32_MAX, id.lo >> 32,
                                    id.lo & UINT32_MAX};
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t word = htobe64(text_of_values(unpack_values(packed[i])));
        memcpy(digits + 8 * i, &word, sizeof(word));
    }
    memcpy(scratch, digits, 8);
    memcpy(scratch + 9, digits + 8, 4);
    memcpy(scratch + 14, digits + 12, 4);
    memcpy(scratch + 19, digits + 16, 4);
    memcpy(scratch + 24, digits + 20, 12);
    scratch[8] = scratch[13] = scratch[18] = scratch[23] = '-';
    return (struct str){scratch, UUID_TEXT};
}

// ---- numbers behind a prefix ---------------------------------------------------------------

static size_t trailing_digits(struct str id)
{
    size_t n = 0;
    while (n < id.n && n < DIGITS_MAX && id.p[id.n - 1 - n] >= '0' && id.p[id.n - 1 - n] <= '9') {
        n++;
    }
    return n;
}

// NUL-terminated, and where it stays. NULL: the table is full, or a NUL is in it.
static const char *keep_prefix(struct intern *prefixes, struct str prefix)
{
    int64_t known = intern_find(prefixes, prefix);
    if (known >= 0) {
        return intern_str(prefixes, (uint32_t)known).p;
    }
    bool room = intern_count(prefixes) < SHORT_ID_PREFIXES && prefix.n <= PREFIX_MAX;
    if (!room || memchr(prefix.p, '\0', prefix.n)) {
        return NULL;
    }
    return intern_str(prefixes, intern_id(prefixes, prefix)).p;
}

static bool pack_number(struct intern *prefixes, struct str id, struct short_id *ret)
{
    size_t digits = prefixes ? trailing_digits(id) : 0;
    if (digits < DIGITS_MIN) {
        return false;
    }
    const char *prefix = keep_prefix(prefixes, (struct str){id.p, id.n - digits});
    uint64_t at = (uint64_t)(uintptr_t)prefix, number = 0;
    if (at == 0 || at > PREFIX_MASK) {
        return false;
    }
    for (size_t i = id.n - digits; i < id.n; i++) {
        number = 10 * number + (uint64_t)(id.p[i] - '0');
    }
    *ret = (struct short_id){number, IS_NUMBER | (uint64_t)digits << DIGITS_SHIFT | at};
    return true;
}

static struct str number_text(struct short_id id, char *scratch)
{
    const char *prefix = (const char *)(uintptr_t)(id.lo & PREFIX_MASK);
    size_t n = strlen(prefix), digits = (size_t)((id.lo ^ IS_NUMBER) >> DIGITS_SHIFT);
    uint64_t number = id.hi;
    memcpy(scratch, prefix, n);
    for (size_t i = digits; i-- > 0; number /= 10) {
        scratch[n + i] = (char)('0' + number % 10);
    }
    return (struct str){scratch, n + digits};
}

// ---- any -----------------------------------------------------------------------------------

struct short_id short_id_make(struct intern *prefixes, struct str id)
{
    struct short_id ret = {0};
    if (!str_present(id) || pack_uuid(id, &ret) || pack_number(prefixes, id, &ret)) {
        return ret;
    }
    char *text = x_alloc(id.n);
    memcpy(text, id.p, id.n);
    return (struct short_id){(uint64_t)(uintptr_t)text, id.n};
}

void short_id_done(struct short_id id)
{
    if ((id.lo & (IS_UUID | IS_NUMBER)) == 0) {
        free((void *)(uintptr_t)id.hi);
    }
}

struct str short_id_text(struct short_id id, char scratch[SHORT_ID_SCRATCH])
{
    if (id.lo & IS_UUID) {
        return uuid_text(id, scratch);
    }
    if (id.lo & IS_NUMBER) {
        return number_text(id, scratch);
    }
    return (struct str){(const char *)(uintptr_t)id.hi, (size_t)id.lo};
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int short_id_cmp(struct short_id a, struct short_id b)
{
    char one[SHORT_ID_SCRATCH], other[SHORT_ID_SCRATCH];
    if (a.lo & b.lo & IS_UUID) {
        return a.hi != b.hi ? compare_u64(a.hi, b.hi) : compare_u64(a.lo, b.lo);
    }
    if (a.lo == b.lo && (a.lo & IS_NUMBER)) { // so many digits behind the same prefix
        return compare_u64(a.hi, b.hi);
    }
    return str_cmp(short_id_text(a, one), short_id_text(b, other));
}
