// Completions for shells. Each is a function of the words typed so far: which command they name,
// then that command's options and what an option's value can be.
#include "base/alloc.h"
#include "cmd/docs.h"

static void put_sections(struct buf *b)
{
    for (size_t i = 0; commands[i]; i++) {
        if (docs_first_of_section(i)) {
            buf_printf(b, " " STR_FMT, STR_ARG(command_section(commands[i])));
        }
    }
}

// The words after the first of a command's name: "list add import" of price.
static void put_verbs(struct buf *b, struct str section)
{
    for (size_t i = 0; commands[i]; i++) {
        struct str name = str_of(commands[i]->name), first;
        (void)str_split(&name, ' ', &first);
        if (str_eq(first, section) && str_present(name)) {
            buf_printf(b, " " STR_FMT, STR_ARG(name));
        }
    }
}

static bool has_verbs(const struct command *c)
{
    return strchr(c->name, ' ') != NULL;
}

static void put_choices(struct buf *b, const char *const *choices)
{
    for (size_t i = 0; choices[i]; i++) {
        buf_printf(b, "%s%s", i > 0 ? " " : "", choices[i]);
    }
}

// What the arguments of a command can be: its own choices, or the names of commands for those that
// take one. False: anything, so files.
static bool put_arguments(struct buf *b, const struct command *c)
{
    if (c->choices) {
        put_choices(b, c->choices);
    } else if (c->args && strcmp(c->args, "[COMMAND]") == 0) {
        put_sections(b);
    } else {
        return false;
    }
    return true;
}

// What follows an option that takes a value: its choices, else files.
static void put_bash_value(struct buf *b, const struct option *o)
{
    if (o->type == OPTION_FLAG) {
        return;
    }
    buf_printf(b, "        --%s", o->name);
    if (o->letter) {
        buf_printf(b, " | -%c", o->letter);
    }
    buf_cstr(b, ") COMPREPLY=($(compgen ");
    if (o->choices) {
        buf_cstr(b, "-W \"");
        put_choices(b, o->choices);
        buf_char(b, '"');
    } else {
        buf_cstr(b, "-f");
    }
    buf_cstr(b, " -- \"$cur\")); return ;;\n");
}

static void put_bash_command(struct buf *b, const struct command *c)
{
    const struct option *o;
    buf_printf(b, "    '%s')\n        case \"$prev\" in\n", c->name);
    for (size_t i = 0; (o = option_at(c, i)) != NULL; i++) {
        put_bash_value(b, o);
    }
    buf_cstr(b, "        esac\n        opts=\"");
    for (size_t i = 0; (o = option_at(c, i)) != NULL; i++) {
        buf_printf(b, "%s--%s", i > 0 ? " " : "", o->name);
    }
    buf_cstr(b, "\" args=\"");
    put_arguments(b, c);
    buf_cstr(b, "\" ;;\n");
}

void docs_bash(struct buf *b, struct arena *a)
{
    (void)a;
    buf_cstr(b, "# bash completion for gtap, made by `gtap docs bash`\n"
                "_gtap()\n{\n"
                "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                "    local cmd=${COMP_WORDS[1]} opts= args=\n"
                "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                "        COMPREPLY=($(compgen -W \"");
    put_sections(b);
    buf_cstr(b, "\" -- \"$cur\"))\n        return\n    fi\n    case \"$cmd\" in\n");
    for (size_t i = 0; commands[i]; i++) {
        if (docs_first_of_section(i) && has_verbs(commands[i])) {
            struct str section = command_section(commands[i]);
            buf_printf(b,
                       "    " STR_FMT ")\n        if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                       "            COMPREPLY=($(compgen -W \"",
                       STR_ARG(section));
            put_verbs(b, section);
            buf_cstr(b, "\" -- \"$cur\"))\n            return\n        fi\n"
                        "        cmd=\"$cmd ${COMP_WORDS[2]}\" ;;\n");
        }
    }
    buf_cstr(b, "    esac\n    case \"$cmd\" in\n");
    for (size_t i = 0; commands[i]; i++) {
        put_bash_command(b, commands[i]);
    }
    buf_cstr(b, "    esac\n"
                "    case \"$cur\" in\n"
                "    -*) COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\")) ;;\n"
                "    *)\n"
                "        if [ -n \"$args\" ]; then\n"
                "            COMPREPLY=($(compgen -W \"$args\" -- \"$cur\"))\n"
                "        else\n"
                "            COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                "        fi ;;\n"
                "    esac\n}\ncomplete -F _gtap gtap\n");
}

// Text within single quotes and, for zsh, within the brackets of a description.
static void put_quoted(struct buf *b, const char *text, const char *escaped)
{
    for (; *text; text++) {
        if (*text == '\'') {
            buf_cstr(b, "'\\''");
            continue;
        }
        if (strchr(escaped, *text)) {
            buf_char(b, '\\');
        }
        buf_char(b, *text);
    }
}

// name: "--store=" or "-s".
static void put_zsh_option(struct buf *b, const struct option *o, const char *name)
{
    buf_printf(b, " \\\n            '%s%s[", o->type == OPTION_LIST ? "*" : "", name);
    put_quoted(b, o->help, "[]:\\");
    buf_char(b, ']');
    if (o->choices) {
        buf_printf(b, ":%s:(", o->value);
        put_choices(b, o->choices);
        buf_char(b, ')');
    } else if (o->type != OPTION_FLAG) {
        buf_printf(b, ":%s:_files", o->value);
    }
    buf_char(b, '\'');
}

static void put_zsh_command(struct buf *b, const struct command *c)
{
    const struct option *o;
    buf_printf(b, "    '%s')\n        _arguments -s", c->name);
    for (size_t i = 0; (o = option_at(c, i)) != NULL; i++) {
        AUTO_FREE char *name = x_asprintf("--%s%s", o->name, o->type == OPTION_FLAG ? "" : "=");
        put_zsh_option(b, o, name);
        if (o->letter) {
            put_zsh_option(b, o, (const char[]){'-', o->letter, '\0'});
        }
    }
    buf_cstr(b, " \\\n            '*:argument:");
    size_t before = b->n;
    buf_char(b, '(');
    if (put_arguments(b, c)) {
        buf_char(b, ')');
    } else {
        b->n = before;
        buf_cstr(b, "_files");
    }
    buf_cstr(b, "' ;;\n");
}

void docs_zsh(struct buf *b, struct arena *a)
{
    (void)a;
    buf_cstr(b, "#compdef gtap\n# zsh completion for gtap, made by `gtap docs zsh`\n"
                "_gtap() {\n    local cmd=$words[2]\n"
                "    if (( CURRENT == 2 )); then\n        compadd --");
    put_sections(b);
    buf_cstr(b, "\n        return\n    fi\n    case $cmd in\n");
    for (size_t i = 0; commands[i]; i++) {
        if (docs_first_of_section(i) && has_verbs(commands[i])) {
            struct str section = command_section(commands[i]);
            buf_printf(b,
                       "    " STR_FMT ")\n        if (( CURRENT == 3 )); then\n"
                       "            compadd --",
                       STR_ARG(section));
            put_verbs(b, section);
            buf_cstr(b, "\n            return\n        fi\n        cmd=\"$cmd $words[3]\" ;;\n");
        }
    }
    buf_cstr(b, "    esac\n    case $cmd in\n");
    for (size_t i = 0; commands[i]; i++) {
        put_zsh_command(b, commands[i]);
    }
    buf_cstr(b, "    esac\n}\n_gtap \"$@\"\n");
}

static void put_fish_condition(struct buf *b, const struct command *c)
{
    struct str rest = str_of(c->name), word;
    buf_cstr(b, " -n '");
    for (size_t i = 0; str_split(&rest, ' ', &word); i++) {
        buf_printf(b, "%s__fish_seen_subcommand_from " STR_FMT, i > 0 ? "; and " : "",
                   STR_ARG(word));
    }
    buf_char(b, '\'');
}

static void put_fish_option(struct buf *b, const struct command *c, const struct option *o)
{
    buf_cstr(b, "complete -c gtap");
    put_fish_condition(b, c);
    buf_printf(b, " -l %s", o->name);
    if (o->letter) {
        buf_printf(b, " -s %c", o->letter);
    }
    if (o->choices) {
        buf_cstr(b, " -x -a '");
        put_choices(b, o->choices);
        buf_char(b, '\'');
    } else if (o->type != OPTION_FLAG) {
        buf_cstr(b, " -r");
    }
    buf_cstr(b, " -d '");
    for (const char *p = o->help; *p; p++) {
        buf_cstr(b, *p == '\'' || *p == '\\' ? "\\" : "");
        buf_char(b, *p);
    }
    buf_cstr(b, "'\n");
}

static void put_fish_arguments(struct buf *b, const struct command *c)
{
    size_t before = b->n;
    buf_cstr(b, "complete -c gtap");
    put_fish_condition(b, c);
    buf_cstr(b, " -f -a '");
    if (put_arguments(b, c)) {
        buf_cstr(b, "'\n");
    } else {
        b->n = before;
    }
}

void docs_fish(struct buf *b, struct arena *a)
{
    (void)a;
    const struct option *o;
    buf_cstr(b, "# fish completion for gtap, made by `gtap docs fish`\n"
                "complete -c gtap -n __fish_use_subcommand -f -a '");
    put_sections(b);
    buf_cstr(b, "'\n");
    for (size_t i = 0; commands[i]; i++) {
        if (docs_first_of_section(i) && has_verbs(commands[i])) {
            struct str section = command_section(commands[i]);
            buf_printf(b, "complete -c gtap -n '__fish_seen_subcommand_from " STR_FMT "' -f -a '",
                       STR_ARG(section));
            put_verbs(b, section);
            buf_cstr(b, "'\n");
        }
    }
    for (size_t i = 0; commands[i]; i++) {
        put_fish_arguments(b, commands[i]);
        for (size_t k = 0; (o = option_at(commands[i], k)) != NULL; k++) {
            put_fish_option(b, commands[i], o);
        }
    }
}
