/* What Linux has and the Glibc module does not show. */
#include <sys/eventfd.h>
#include <sys/prctl.h>

/* prctl(2) is variadic, which Swift cannot call. */
static inline int orderwire_set_thread_name(const char *name) { return prctl(PR_SET_NAME, name, 0, 0, 0); }
