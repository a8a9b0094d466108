// The only place where an input blocks.
#pragma once

#include "input/input.h"

#define INPUT_WAIT_NS NS_PER_S

// Waits until fd (-1: none) has something to say, the run is stopping, or ns (0..INPUT_WAIT_NS)
// have passed. Returns fd's poll(2) events, 0 for none.
int input_wait(const struct input_env *env, int fd, int64_t ns);
