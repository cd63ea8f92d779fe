// The floors of the house: a folder imports only from folders on a lower floor, and from itself.
const floors = {
  cli: 5,
  client: 4,
  swarm: 3,
  transport: 3,
  tracker: 2,
  storage: 2,
  wire: 2,
  metainfo: 1,
  identity: 1,
  api: 0, // the language everybody speaks: schemas and error codes
};

const floorRules = Object.entries(floors).map(([folder, floor]) => {
  const forbidden = Object.entries(floors)
    .filter(([other, otherFloor]) => other !== folder && otherFloor >= floor)
    .map(([other]) => other);
  return {
    name: `floor-${floor}-${folder}`,
    comment: `src/${folder}/ (floor ${floor}) imports only from lower floors`,
    severity: "error",
    from: { path: `^src/${folder}/` },
    to: { path: `^src/(${forbidden.join("|")})/` },
  };
});

module.exports = {
  forbidden: [
    ...floorRules,
    {
      name: "no-circles",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "pure-decisions",
      comment: "swarm, wire and metainfo decide; they touch no socket, file, clock or thread",
      severity: "error",
      from: { path: "^src/(swarm|wire)/" },
      to: { dependencyTypes: ["core"], path: "^(node:)?(net|tls|fs|worker_threads|timers|http|https|dgram)" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    parser: "swc",
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { extensions: [".ts", ".js", ".cjs", ".mjs", ".json"] },
  },
};
