// A TLS server as the tracker's, with nothing behind it: what remains of a tracker's memory when this is taken away is the
// tracker's own (see tracker-clients.ts).
import { constants } from "node:crypto";
import { createServer } from "node:tls";
import { createDeviceIdentity } from "../src/identity/certificates.ts";

const identity = createDeviceIdentity();
const server = createServer(
  {
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    minVersion: "TLSv1.3",
    requestCert: true,
    rejectUnauthorized: false,
    secureOptions: constants.SSL_OP_NO_TICKET,
  },
  (socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", () => undefined);
    socket.write("x");
  },
);
server.listen(0, "127.0.0.1", 10_000, () => {
  const address = server.address();
  process.send?.({ port: typeof address === "object" ? address?.port : 0 });
});
