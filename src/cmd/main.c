#include <signal.h>
#include <stdlib.h>

#include "cmd/cli.h"

static const char *get_environment(const char *name)
{
    return getenv(name);
}

int main(int argc, char **argv)
{
    // A limit on the size of files is a failed write to tell about, not a death.
    signal(SIGXFSZ, SIG_IGN);
    struct cli cli = {
        .out = stdout,
        .err = stderr,
        .getenv = get_environment,
        .clock = &clock_system,
    };
    return cli_main(&cli, argc, argv);
}
