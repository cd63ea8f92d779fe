// The title of a part of the details. Alone on the page they are below its first heading, beside the list below the second.
import { type ComponentChildren, createContext } from "preact";
import { useContext } from "preact/hooks";

export const TitleLevel = createContext<"h2" | "h3">("h3");

export function SectionTitle({
  id,
  children,
}: {
  readonly id: string;
  readonly children: ComponentChildren;
}) {
  const Heading = useContext(TitleLevel);
  return (
    <Heading class="details-title" id={id}>
      {children}
    </Heading>
  );
}
