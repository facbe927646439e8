/* Counts allocations: a program that this is linked into has its malloc and relatives. glibc's do the work. */
#ifndef ORDERWIRE_ALLOCATIONS_H
#define ORDERWIRE_ALLOCATIONS_H

#include <stdint.h>

/* How often the calling thread has asked for memory. */
uint64_t orderwire_allocations(void);

#endif
