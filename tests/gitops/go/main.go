// What GitOps tools make of the project's objects, by their own code: one JSON document in, one out.
//
//	gitops health FILE   objects on standard input; what kstatus, Flux and Argo CD with this argocd-cm say of each
//	gitops flux WAIT     the object on standard input is applied as Flux does, and waited for
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	flux "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/ssa"
	lua "github.com/yuin/gopher-lua"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubejson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

type verdict struct {
	Kstatus        string `json:"kstatus"`
	KstatusMessage string `json:"kstatusMessage"`
	Flux           string `json:"flux"`
	Argo           string `json:"argo"`
	ArgoMessage    string `json:"argoMessage"`
}

type outcome struct {
	Action string `json:"action"`
	Wait   string `json:"wait"`
}

func main() {
	answer, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) (any, error) {
	switch {
	case len(arguments) == 2 && arguments[0] == "health":
		return verdicts(arguments[1])
	case len(arguments) == 2 && arguments[0] == "flux":
		return applied(arguments[1])
	}
	return nil, errors.New("usage: gitops health FILE | gitops flux WAIT")
}

// read takes what standard input has, with whole numbers as Kubernetes' own code wants them.
func read(value any) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	return kubejson.Unmarshal(text, value)
}

// verdicts are on the objects that standard input has, a JSON array. file: the ConfigMap argocd-cm as JSON.
func verdicts(file string) (any, error) {
	var objects []map[string]any
	if err := read(&objects); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var settings struct{ Data map[string]string }
	if err := json.Unmarshal(text, &settings); err != nil {
		return nil, err
	}
	found := []verdict{}
	for _, content := range objects {
		obj := &unstructured.Unstructured{Object: content}
		generic, err := kstatus.Compute(obj)
		if err != nil {
			return nil, err
		}
		byFlux, err := flux.Compute(obj)
		if err != nil {
			return nil, err
		}
		one := verdict{Kstatus: string(generic.Status), KstatusMessage: generic.Message, Flux: string(byFlux.Status)}
		if one.Argo, one.ArgoMessage, err = argoHealth(obj, settings.Data); err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

// argoHealth is status and message as Argo CD's gitops-engine finds them, which asks the scripts where it does.
func argoHealth(obj *unstructured.Unstructured, settings map[string]string) (string, string, error) {
	found, err := health.GetResourceHealth(obj, scripts(settings))
	if err != nil || found == nil { // nil: Argo CD says nothing of its health
		return "", "", err
	}
	return string(found.Status), found.Message, nil
}

// scripts are the data of argocd-cm. They are run with the libraries that Argo CD opens for a health check and no others
// (util/lua of argo-cd, which is no module of its own).
type scripts map[string]string

func (known scripts) GetResourceHealth(obj *unstructured.Unstructured) (*health.HealthStatus, error) {
	kind := obj.GroupVersionKind()
	script, found := known["resource.customizations.health."+kind.Group+"_"+kind.Kind]
	if !found {
		return nil, nil
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(ctx)
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.StringLibName, lua.OpenString},
	} {
		opening := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(opening, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	state.SetGlobal("obj", value(state, obj.Object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("%s: the script returns no table", obj.GetKind())
	}
	return &health.HealthStatus{
		Status:  health.HealthStatusCode(lua.LVAsString(table.RawGetString("status"))),
		Message: lua.LVAsString(table.RawGetString("message")),
	}, nil
}

func value(state *lua.LState, given any) lua.LValue {
	switch known := given.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, each := range known {
			table.RawSetString(key, value(state, each))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, each := range known {
			table.Append(value(state, each))
		}
		return table
	case string:
		return lua.LString(known)
	case bool:
		return lua.LBool(known)
	case float64:
		return lua.LNumber(known)
	case int64:
		return lua.LNumber(known)
	}
	return lua.LNil
}

// applied is what becomes of the object on standard input, applied and waited for as Flux does with the cluster of
// $KUBECONFIG. wait: for how long.
func applied(wait string) (any, error) {
	patience, err := time.ParseDuration(wait)
	if err != nil {
		return nil, err
	}
	obj := &unstructured.Unstructured{}
	if err := read(&obj.Object); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	manager, err := resourceManager(config)
	if err != nil {
		return nil, err
	}
	// As (KustomizationReconciler).apply of github.com/fluxcd/kustomize-controller has them.
	options := ssa.DefaultApplyOptions()
	options.Cleanup.Annotations = []string{"kubectl.kubernetes.io/last-applied-configuration"}
	options.Cleanup.FieldManagers = []ssa.FieldManager{
		{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
		{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
		{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
		{Name: "kustomize-controller", OperationType: metav1.ManagedFieldsOperationUpdate},
	}
	entry, err := manager.Apply(context.Background(), obj, options)
	if err != nil {
		return nil, err
	}
	done := outcome{Action: string(entry.Action)}
	if patience > 0 {
		waiting := ssa.WaitOptions{Interval: 200 * time.Millisecond, Timeout: patience, FailFast: true}
		if err := manager.Wait([]*unstructured.Unstructured{obj}, waiting); err != nil {
			done.Wait = err.Error()
		}
	}
	return done, nil
}

func resourceManager(config *rest.Config) (*ssa.ResourceManager, error) {
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, transport)
	if err != nil {
		return nil, err
	}
	caller, err := client.New(config, client.Options{Mapper: mapper})
	if err != nil {
		return nil, err
	}
	owner := ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"}
	return ssa.NewResourceManager(caller, polling.NewStatusPoller(caller, mapper, polling.Options{}), owner), nil
}
