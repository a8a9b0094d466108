// The two halves of nvidia-smi: a program that is run, and a file of what it printed once. Each
// opens an input whose driver is its own.
#pragma once

#include "input/input_impl.h"

int smi_live_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                  struct error *err) GTAP_CHECK;
int smi_file_open(const struct uri *uri, const struct input_env *env, struct input **ret,
                  struct error *err) GTAP_CHECK;

// The program: path=, else nvidia-smi, looked for in PATH.
const char *smi_program(const struct uri *uri);
