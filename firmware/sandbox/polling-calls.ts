/**
 * What the host offers modules of a MUC that say which meter is asked when; as for metrological modules entries are only added:
 * - `onNext(f)`: `f(seconds)` answers the index of the meter to ask now, -1 for none.
 * - `onAnswer(f)`: `f(index, seconds, ok)` hears what came of it, 1 or 0. `onSelfTest(f)` answers 0: all is well.
 * - `meters()`: how many there are; `medium(index)`: of the kind that DIN 43863-5 numbers; `period()`: seconds between two
 *   readings that the provider asks for. `silent(index, failures)`: a meter that keeps silent.
 */
export const pollingCalls = ["onNext:f", "onAnswer:f", "onSelfTest:f", "meters:", "medium:n", "period:", "silent:nn"]
