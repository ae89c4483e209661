/**
 * What a module's values are. Numbers, strings, booleans, undefined, null, arrays and buffers are themselves. All else
 * is one of the classes below, so that nothing of the program around is ever a module's value, and a function of the
 * machine never is.
 */
export class Inner {}

/** The `host` of a module: says nothing, holds nothing. */
export class Token extends Inner {}

/** An object: own fields, and the object its missing fields are looked up in. */
export class Obj extends Inner {
    /** Number of the last walk that counted it. */
    walk: number | undefined
    constructor(
        public own: any,
        public proto: Obj | undefined,
    ) {
        super()
    }
}

/** One of the runtime's builtin objects, by its number (BuiltIn_Object); its own fields are the module's. */
export class Builtin extends Obj {
    constructor(
        readonly id: number,
        proto: Obj | undefined,
    ) {
        super({}, proto)
    }
}

/**
 * A function of the image, its descriptor at `at`; a closure also has the frame it was made in and that frame's function, a bound one its object. Fields that
 * are not there take no heap: a program of the fixed part has dozens of functions.
 */
export class Fn extends Inner {
    walk: number | undefined
    frame: any[] | undefined
    outer: Fn | undefined
    self: any
    constructor(readonly at: number) {
        super()
    }
}

/** A closure, or with `self` a bound function. */
export function closureOf(at: number, frame: any[] | undefined, outer: Fn | undefined, self: any): Fn {
    const made = new Fn(at)
    if (frame !== undefined) {
        made.frame = frame
        made.outer = outer
    }
    if (self !== undefined) made.self = self
    return made
}

/** A native method taken from its object as a value: number of what holds it * 256 + number of its name, and the object. */
export class Native extends Inner {
    constructor(
        readonly code: number,
        readonly self: any,
    ) {
        super()
    }
}

/** What `break`, `continue` and `return` out of a `try` throw: where to go, and how many `try` blocks are left on the way. */
export class Leap extends Inner {
    constructor(
        readonly to: number,
        readonly levels: number,
    ) {
        super()
    }
}

/** An error that the module can catch: a value of a wrong kind, or (`range`) out of range. */
export function wrong(range: boolean): never {
    if (range) throw new RangeError("out of range")
    throw new TypeError("wrong type")
}
