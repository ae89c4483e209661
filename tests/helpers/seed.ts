import fc from "fast-check"

/**
 * Properties draw the same cases in every run, so that a change is judged by itself and not by luck. `PLOMB_SEED=NUMBER`
 * draws others, `PLOMB_SEED=random` new ones each time; `PLOMB_RUNS` draws more where a test says so.
 */
const wish = process.env.PLOMB_SEED ?? "20261122"
const seed = wish === "random" ? Math.floor(Math.random() * 0x7fffffff) : Number(wish)
if (!Number.isInteger(seed)) throw new Error(`PLOMB_SEED=${wish}: expected an integer or "random"`)
fc.configureGlobal({ seed })
