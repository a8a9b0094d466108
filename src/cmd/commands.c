#include "cmd/commands.h"

// One a line: clang-format would make columns of them.
// clang-format off
const struct command *const commands[] = {
    &command_run,
    &command_processor,
    &command_agent,
    &command_gateway,
    &command_report,
    &command_explain,
    &command_top,
    &command_export,
    &command_serve,
    &command_health,
    &command_verify,
    &command_recompute,
    &command_price_list,
    &command_price_add,
    &command_price_import,
    &command_config,
    &command_bench,
    &command_docs,
    &command_version,
    &command_help,
    NULL,
};
// clang-format on
