// The icon of a step type: the catalog's own SVG, tinted by the category of what it stands in.
import { Box } from "lucide-react";
import { memo } from "react";

export const StepIcon = memo(function StepIcon({ svg, size = 18 }: { svg?: string; size?: number }) {
  return (
    <span className="pc-tile" aria-hidden="true" style={{ ["--icon" as string]: `${size}px` }}>
      {svg ? <i dangerouslySetInnerHTML={{ __html: svg }} /> : <Box size={size} />}
    </span>
  );
});
