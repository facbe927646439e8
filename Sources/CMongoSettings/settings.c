// libmongoc sets itself up when it is loaded, before main. It puts its counters into shared memory named after the process id;
// where a killed process has left a segment of that name behind, it says so on standard error, into the midst of what scripts read.
// Nobody reads the counters: MONGOC_DISABLE_SHM, its own setting, keeps them in the process, and no segments are left behind.
// Only the program's own preinit functions run before those of its libraries (System V gABI, "Initialization and Termination
// Functions").
#include "CMongoSettings.h"
#include <stdlib.h>

static void keep_counters_private(void) { setenv("MONGOC_DISABLE_SHM", "1", 0); }

__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(void) = keep_counters_private;
