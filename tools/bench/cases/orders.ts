import { Fn } from "../../../firmware/core/access.ts"
import { Code } from "../../../firmware/core/errors.ts"
import {
    accessPath,
    addressesPath,
    attestationPath,
    calibrationPath,
    changeProviderPath,
    deleteProviderPath,
    erasePath,
    keysPath,
    labelPath,
    logbookPath,
    logbookResetPath,
    meteringPath,
    metrologicalLogbookPath,
    metrologicalResetPath,
    rolloverPath,
    timePath,
} from "../../../firmware/core/sml-parameter.ts"
import { get, list, profile, type Request, set, word } from "./requests.ts"
import type { Component, Stage } from "./stage.ts"

/** A request that needs exactly one function, and changes nothing that others here need. */
export interface Order {
    fn: Fn
    says: string
    request: Request
    /** What comes where the right is there: 0 = done, else why it is refused all the same. */
    after: readonly Code[] | 0
}

/** Nothing in it: whoever has the right learns that the form is wrong. */
const nothing = Buffer.of(0xff)
const wrongForm = [
    Code.CommandForm,
    Code.AccessForm,
    Code.OutOfRange,
    Code.BadArgument,
    Code.StepOutOfOrder,
    Code.SmlEscape,
]

/** One order for each function that a meter or a MUC has. */
export function orders(stage: Stage, { name }: Component): Order[] {
    const at = Buffer.concat([Buffer.alloc(2), word(0)])
    // What is done at a MUC only is refused from afar, to who has the right.
    const here = name === "MUC" ? [Code.StepOutOfOrder] : 0
    const both: Order[] = [
        { fn: Fn.readSoftware, says: "has the software attested", request: get(attestationPath), after: 0 },
        { fn: Fn.readLogbook, says: "reads the logbook", request: get(logbookPath, at), after: 0 },
        {
            fn: Fn.resetLogbook,
            says: "clears the logbook unseen",
            request: set(logbookResetPath, word(0x7fffffff)),
            after: [Code.LogbookNotSeen],
        },
        { fn: Fn.setAccess, says: "changes access rights", request: set(accessPath, nothing), after: wrongForm },
        {
            fn: Fn.changeProvider,
            says: "changes the provider",
            request: set(changeProviderPath, nothing),
            after: wrongForm,
        },
        { fn: Fn.setTime, says: "sets the time", request: set(timePath, word(stage.seconds())), after: here },
        { fn: Fn.setParameters, says: "sets the label", request: set(labelPath, Buffer.from("bench")), after: here },
        { fn: Fn.erase, says: "erases", request: set(erasePath, nothing), after: wrongForm },
        {
            fn: Fn.deleteProvider,
            says: "removes the provider",
            request: set(deleteProviderPath, nothing),
            after: wrongForm,
        },
    ]
    if (name === "MUC")
        return [
            ...both,
            { fn: Fn.setAddresses, says: "sets addresses", request: set(addressesPath, nothing), after: wrongForm },
            { fn: Fn.setKeys, says: "sets symmetric keys", request: set(keysPath, nothing), after: wrongForm },
        ]
    return [
        { fn: Fn.readCurrent, says: "reads", request: list(), after: 0 },
        { fn: Fn.readProfile, says: "reads the load profile", request: profile(), after: 0 },
        ...both,
        {
            fn: Fn.setMeteringParameters,
            says: "sets metering parameters",
            request: set(meteringPath, nothing),
            after: wrongForm,
        },
        { fn: Fn.calibrate, says: "calibrates", request: set(calibrationPath, nothing), after: wrongForm },
        {
            fn: Fn.readMetrologicalLogbook,
            says: "reads the metrological logbook",
            request: get(metrologicalLogbookPath, at),
            after: 0,
        },
        {
            fn: Fn.resetMetrologicalLogbook,
            says: "clears the metrological logbook",
            request: set(metrologicalResetPath, word(0x7fffffff)),
            after: [Code.LogbookNotSeen],
        },
        { fn: Fn.rolloverKey, says: "ends a key rollover", request: set(rolloverPath, nothing), after: wrongForm },
    ]
}
