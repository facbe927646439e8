// libmongoc keeps its counters in shared memory named after the process id, from the moment it is loaded, which is before main. Where
// a killed process has left a segment of that name behind, it says so on standard error, into the midst of what scripts read.
// Nobody reads the counters from outside: here they get memory that has no name, and nothing is left behind. libmongoc's own
// switch, MONGOC_DISABLE_SHM in the environment, would have to be set by whoever starts the program.
#define _GNU_SOURCE
#include "CMongoSettings.h"
#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>

typedef int shm_open_function(const char *, int, mode_t);

// A program's own functions come before those of its libraries (System V gABI, "Shared Object Dependencies").
int shm_open(const char *name, int flags, mode_t mode) {
    if (strncmp(name, "/mongoc-", strlen("/mongoc-")) == 0) return memfd_create("mongoc", MFD_CLOEXEC);
    shm_open_function *others = (shm_open_function *)dlsym(RTLD_NEXT, "shm_open");
    return others(name, flags, mode);
}
