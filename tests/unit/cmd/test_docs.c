#include "cmd/commands.h"
#include "cmd/docs.h"
#include "test.h"

static void test_usage(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 256);
    docs_usage(&b, &command_price_add);
    assert_str(buf_view(&b), "gtap price add NAME USD_PER_HOUR [options]");
    buf_clear(&b);
    docs_usage(&b, &command_run);
    assert_str(buf_view(&b), "gtap run [options]");
    buf_done(&b);
}

// Every form names every command and every option of it.
static void test_complete(void **state)
{
    (void)state;
    static const struct {
        const char *name, *dash;
        void (*write)(struct buf *b, struct arena *a);
    } forms[] = {
        {"markdown", "--", docs_markdown}, {"man", "\\-\\-", docs_man}, {"bash", "--", docs_bash},
        {"zsh", "--", docs_zsh},           {"fish", "-l ", docs_fish},
    };
    for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
        struct arena a = {0};
        struct buf b;
        buf_init(&b, 1 << 20);
        forms[f].write(&b, &a);
        assert_true(buf_ok(&b));
        for (size_t i = 0; commands[i]; i++) {
            struct str section = command_section(commands[i]);
            assert_non_null(memmem(b.p, b.n, section.p, section.n));
            const struct option *o;
            for (size_t k = 0; (o = option_at(commands[i], k)) != NULL; k++) {
                struct buf text;
                buf_init(&text, 128);
                buf_cstr(&text, forms[f].dash);
                for (const char *p = o->name; *p; p++) {
                    buf_cstr(&text, *p == '-' && forms[f].dash[0] == '\\' ? "\\" : "");
                    buf_char(&text, *p);
                }
                if (memmem(b.p, b.n, text.p, text.n) == NULL) {
                    fail_at(__FILE__, __LINE__, "%s: no --%s of %s\n", forms[f].name, o->name,
                            commands[i]->name);
                }
                buf_done(&text);
            }
        }
        buf_done(&b);
        arena_done(&a);
    }
}

// The tables themselves: what help, messages and documentation rely on.
static void test_tables(void **state)
{
    (void)state;
    for (size_t i = 0; commands[i]; i++) {
        const struct command *c = commands[i];
        assert_non_null(c->run);
        assert_true(c->size >= sizeof(struct common));
        assert_true(c->summary[0] != '\0' && !str_ends(str_of(c->summary), STR(".")));
        assert_true(c->least_args <= c->most_args);
        const struct option *o, *other;
        for (size_t k = 0; (o = option_at(c, k)) != NULL; k++) {
            assert_true(o->help && !str_ends(str_of(o->help), STR(".")));
            assert_true(strchr(o->help, '\n') == NULL);
            assert_true(o->type == OPTION_FLAG || o->value != NULL);
            assert_true(o->type != OPTION_CHOICE || o->choices != NULL);
            for (size_t m = 0; m < k; m++) {
                other = option_at(c, m);
                if (strcmp(o->name, other->name) == 0 ||
                    (o->letter && o->letter == other->letter)) {
                    fail_at(__FILE__, __LINE__, "%s: --%s and --%s\n", c->name, o->name,
                            other->name);
                }
            }
        }
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_usage), TEST(test_complete), TEST(test_tables));
}
