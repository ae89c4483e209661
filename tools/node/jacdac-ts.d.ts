/** jacdac-ts carries its types but its package does not say where. */
declare module "jacdac-ts" {
    export * from "../../node_modules/jacdac-ts/dist/types/src/jacdac"
}
