/*
 * The heap, watched: how many blocks are in use, and a thread that gets no
 * more of them. Takes the place of the C library's malloc and its relatives in
 * the program that links it.
 */

#ifndef HEAP_H
#define HEAP_H

#include <stddef.h>

/* Blocks that were allocated and not freed. */
long heap_blocks(void);

/* The calling thread gets so many more blocks, and then none. */
void heap_refuse_after(long allocations);

/* The calling thread gets all again; gives how many it was refused. */
long heap_refuse_nothing(void);

/* Threads that have not said heap_mine() get so many more blocks together, and
   then none. */
void heap_mine(void);
void heap_not_mine(void);
void heap_refuse_others_after(long allocations);

/* They get all again; gives how many they were refused. */
long heap_refuse_others_nothing(void);

#endif /* HEAP_H */
