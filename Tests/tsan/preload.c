// Tells ThreadSanitizer what it does not see by itself. Preloaded, this stands between our code and three functions.
//
// Swift's `Mutex` is on Linux a word that our own code changes, which TSan sees, and a futex where somebody has to wait. That
// part is in the standard library, which is not compiled for TSan: what a mutex protects would look unprotected whenever two
// threads meet in it.
//
// `pthread_clockjoin_np` is unknown to TSan, which would take the thread for one that still lives; `pthread_timedjoin_np` is not.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// Absent in programs without TSan, which are preloaded, too.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

typedef __attribute__((swiftcall)) void (*LockSlow)(uint32_t thread, __attribute__((swift_context)) void *mutex);
typedef __attribute__((swiftcall)) void (*UnlockSlow)(__attribute__((swift_context)) void *mutex);

__attribute__((swiftcall)) void lockSlow(uint32_t thread, __attribute__((swift_context)) void *mutex) __asm__(LOCK_SLOW);
__attribute__((swiftcall)) void unlockSlow(__attribute__((swift_context)) void *mutex) __asm__(UNLOCK_SLOW);

static void *next(const char *name) {
  void *function = dlsym(RTLD_NEXT, name);
  if (!function) abort();
  return function;
}

__attribute__((swiftcall)) void lockSlow(uint32_t thread, __attribute__((swift_context)) void *mutex) {
  ((LockSlow)next(LOCK_SLOW))(thread, mutex);
  if (__tsan_acquire) __tsan_acquire(mutex);
}

__attribute__((swiftcall)) void unlockSlow(__attribute__((swift_context)) void *mutex) {
  if (__tsan_release) __tsan_release(mutex);
  ((UnlockSlow)next(UNLOCK_SLOW))(mutex);
}

int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock, const struct timespec *end) {
  struct timespec now, until;
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &until);
  long long nanoseconds = until.tv_nsec + (end->tv_sec - now.tv_sec) * 1000000000LL + end->tv_nsec - now.tv_nsec;
  if (nanoseconds < 0) nanoseconds = 0;
  until.tv_sec += nanoseconds / 1000000000LL;
  until.tv_nsec = nanoseconds % 1000000000LL;
  return pthread_timedjoin_np(thread, result, &until);
}
