// libmongoc's headers, which have macros of the names of ours and use them in other ways.
#pragma once

#include "base/macros.h"

#pragma push_macro("MIN")
#pragma push_macro("MAX")
#undef MIN
#undef MAX
#include <mongoc/mongoc.h>
#pragma pop_macro("MAX")
#pragma pop_macro("MIN")
