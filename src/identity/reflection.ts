// @peculiar/x509 takes its algorithms from a container (tsyringe) that asks classes for reflection metadata while it
// loads, and will not load without an answer. None of these classes has any: that is the answer. Import this first.
for (const method of ["getMetadata", "getOwnMetadata"]) {
  if (!(method in Reflect))
    Object.defineProperty(Reflect, method, { value: () => undefined, writable: true });
}
