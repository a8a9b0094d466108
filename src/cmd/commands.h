// Every command there is; each is defined in the file of its name.
#pragma once

#include "cmd/command.h"

extern const struct command command_run, command_processor, command_agent, command_gateway,
    command_report, command_explain, command_top, command_export, command_serve, command_verify,
    command_recompute, command_price_list, command_price_add, command_price_import, command_config,
    command_bench, command_docs, command_version, command_help, command_health;
