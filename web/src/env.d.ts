/** Made by build/plugins.ts from the daemon's table of endpoints. */
declare module "virtual:endpoints" {
  export const endpoints: Readonly<Record<string, import("../build/endpoint-table.ts").EndpointRow>>;
}
