/* What Linux has and the Glibc module does not show. */
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>

/* prctl(2) is variadic, which Swift cannot call. */
static inline int orderwire_set_thread_name(const char *name) { return prctl(PR_SET_NAME, name, 0, 0, 0); }

/* Gives the calling thread only what no other thread wants (SCHED_IDLE, sched(7)). Returns 0, or -1. */
static inline int orderwire_run_when_idle(void) {
    struct sched_param none = {0};
    return sched_setscheduler(0, 5 /* SCHED_IDLE, for _GNU_SOURCE only */, &none);
}

/* Declared by spawn.h, unistd.h and pthread.h for _GNU_SOURCE only. */
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
extern int pipe2(int ends[2], int flags);
extern int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock, const struct timespec *end);
