/** The display's FRAM map (MB85RC1MT; any part of its kind with 1 KB would do). */

/** The PLC link to the MUC: its keys and counters. */
export const linkAt = 0x00000
